//! Whole-system tests: the real program against the sandbox, one binary.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up its world has to stop there")]

mod approval;
mod bad_input;
mod broker_faults;
mod budget;
mod calls;
mod checks;
mod command_reference;
mod commands;
mod compose;
mod crash;
mod dashboards;
mod deployments;
mod documents;
mod evidence;
mod faults;
mod filters;
mod first_steps;
mod fleet;
mod fleet_commands;
mod fleet_faults;
mod fleet_guards;
mod guards;
mod harness;
mod imatag_limits;
mod large;
mod limits;
mod logging;
mod metrics;
mod migrating;
mod modes;
mod monitoring;
mod narrowed;
mod outcomes;
mod pause;
mod people;
mod queue;
mod quiet_hours;
mod random;
mod restore;
mod sdk;
mod secrets;
mod status;
mod verify;
mod wires;
