//! The worker: takes jobs through submit, transfer and save.
//!
//! A step ([`step`]) does the work and says how it ended; [`settle`] alone turns that into what happens to the
//! message; [`consume`] takes deliveries and drains. Decisions without I/O are in [`decide`].

pub mod approval;
mod blame;
pub mod breaker;
mod bury;
mod consume;
pub mod decide;
mod doubt;
mod environment;
mod error;
mod handle;
mod hold;
pub mod inspect;
pub mod leases;
mod lost;
mod probe;
mod program;
pub mod settle;
mod solitude;
pub mod step;
pub mod wiring;

pub use consume::consume;
pub use environment::{Environment, Metaproperty, Settings};
pub use error::{StepError, Verdict};
pub use probe::Probes;
pub use program::{AFTER_GRACE, main};
