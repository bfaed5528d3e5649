//! Whole-system tests: the real program against the sandbox, one binary.

mod commands;
mod crash;
mod faults;
mod guards;
mod harness;
mod large;
mod outcomes;
mod people;
mod sdk;
mod wires;
