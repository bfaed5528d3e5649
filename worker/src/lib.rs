//! The worker: takes jobs through submit, transfer and save.
//!
//! Each delivery passes receive → run step → conclude → close → settle, each a function in a module of its name. A
//! step does the work and returns how it ended; only `conclude` decides what that means for the message, and
//! `settle` applies it. [`consume()`] is the loop, and drains at the end. Decisions without I/O are in the crate [`decide`].

pub mod approval;
mod blame;
mod close;
mod conclude;
mod concurrency;
mod consume;
mod context;
mod dead_letters;
mod end;
mod environment;
mod error;
#[cfg(test)]
mod fakes;
mod handle;
mod in_flight;
pub mod inspect;
mod isolation;
mod leases;
mod probe;
mod program;
mod receive;
mod renew;
mod run_step;
mod service_times;
pub mod services;
mod settings;
mod settle;
mod step;
#[cfg(test)]
mod tests;
pub mod wiring;

pub use concurrency::Concurrency;
pub use consume::consume;
pub use environment::Environment;
pub use error::{StepError, Verdict};
pub use probe::Probes;
pub use program::{AFTER_GRACE, command_line, main};
pub use service_times::ServiceTimes;
pub use settings::Settings;
