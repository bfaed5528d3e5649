//! What both sides of the connector share.
//!
//! Plain types without I/O stand at the top level ([`asset`], [`hash`], [`marker`], [`job`], [`outcome`]);
//! everything that talks to the world has a folder of its own.

pub mod asset;
pub mod budget;
pub mod bynder;
pub mod config;
pub mod fault;
pub mod hash;
pub mod http;
pub mod imatag;
pub mod job;
pub mod ledger;
pub mod marker;
pub mod outcome;
pub mod queue;
pub mod spool;
pub mod state;
pub mod telemetry;
