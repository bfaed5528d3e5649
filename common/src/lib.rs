//! What both sides of the connector share.
//!
//! Plain types without I/O stand at the top level ([`asset`], [`file_name`], [`hash`], [`marker`], [`job`], [`outcome`],
//! [`service`]), and so
//! does what every program needs to start, talk and end ([`wiring`], [`beside`], [`signals`], [`output`], [`failure`]);
//! everything that talks to the world has a folder of its own.

mod address;
pub mod asset;
pub mod beside;
pub mod boot_clock;
mod bounded;
pub mod budget;
pub mod bynder;
pub mod check;
pub mod config;
pub mod content;
mod excerpt;
pub mod failure;
pub mod fault;
pub mod file_name;
pub mod hash;
pub mod http;
mod ids;
pub mod imatag;
pub mod job;
pub mod kind;
pub mod ledger;
pub mod marker;
pub mod nearest;
pub mod outcome;
pub mod output;
pub mod parse_error;
pub mod patience;
pub mod permission;
pub mod private;
pub mod program;
pub mod queue;
pub mod quiet_hours;
pub mod service;
pub mod service_id;
pub mod signals;
mod span;
pub mod spool;
pub mod state;
pub mod task;
pub mod telemetry;
pub mod wiring;
pub mod written;
