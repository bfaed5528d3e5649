//! Whole-system tests: the real program against the sandbox, one binary.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up its world has to stop there")]

mod commands;
mod crash;
mod documents;
mod faults;
mod guards;
mod harness;
mod large;
mod outcomes;
mod people;
mod sdk;
mod wires;
