//! How a program of the connector starts, talks, logs and ends.

pub mod log;
pub mod output;
mod panics;
pub mod program;
pub mod signals;
