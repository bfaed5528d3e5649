//! A fleet on a cluster of three nodes: one dies, is cut off, stands still, restarts, is gone for good. `scripts/cluster` runs it.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up its world has to stop there")]
#![expect(clippy::disallowed_methods, reason = "a task of a test ends with the test")]
#![expect(clippy::print_stdout, reason = "what was seen is what it is run for")]

#[expect(dead_code, reason = "the suite uses the rest of it")]
#[path = "../it/harness/mod.rs"]
mod harness;
mod nodes;
mod run;
mod scenarios;
