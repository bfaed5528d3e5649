//! Plain types that every part of the connector shares: an asset, its marker, a job and what became of it. No I/O, no tasks.

pub mod address;
pub mod asset;
pub mod boot_clock;
pub mod bounded;
pub mod check;
pub mod content;
pub mod excerpt;
pub mod failure;
pub mod fault;
pub mod file_name;
pub mod hash;
pub mod ids;
pub mod job;
pub mod kind;
pub mod marker;
pub mod nearest;
pub mod outcome;
pub mod parse_error;
pub mod permission;
pub mod service;
pub mod service_id;
pub mod span;
pub mod visible;
