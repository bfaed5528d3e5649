//! Plain types shared by all parts of the connector: an asset, its marker, a job and its outcome.
//!
//! Nothing here reads a file, makes a request or starts a task, so that every decision of the product can be tested in
//! milliseconds. A run publishes a [`job::Job`] for an asset; [`marker::Marker`] is the value of the asset's hash
//! metaproperty, which decides whether the asset needs a job at all.
//!
//! ```
//! use common::marker::Marker;
//!
//! assert!(matches!(Marker::parse(None), Marker::Absent));
//! assert!(matches!(Marker::parse(Some("hands off")), Marker::Foreign(_)));
//!
//! let record = format!("{} {} v2 1024", "1a".repeat(32), "2b".repeat(32));
//! assert!(matches!(Marker::parse(Some(&record)), Marker::Ours(_)));
//! ```

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
pub mod prose;
pub mod service;
pub mod service_id;
pub mod span;
pub mod spreadsheet;
pub mod visible;
