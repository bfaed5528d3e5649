//! The producer: finds the assets to protect and publishes a job for each.
//!
//! [`enumerate`] walks the library, [`filter`] and [`select`] decide by each row alone, [`run`] publishes jobs and
//! keeps the ledger; [`RunSession`] is one run, from the request to its summary. [`arguments`] are the command-line
//! arguments of a run; [`plan`] shows what it would do.

mod allowance;
pub mod arguments;
mod asked;
mod cursor;
pub mod destination;
pub mod enumerate;
mod estimate;
mod failure;
mod figures;
pub mod filter;
mod first_run;
mod fleet;
mod found;
pub mod full_run;
mod mandate;
pub mod plan;
pub mod portal;
mod program;
mod progress;
pub mod run;
mod runner;
pub mod schedule;
mod scope;
pub mod select;
mod session;
pub mod standstill;
mod summary;
pub mod wiring;

pub use allowance::Limit;
pub use program::{command_line, main};
pub use progress::{Delays, Progress};
pub use runner::Runner;
pub use session::{RunEnd, RunSession};
pub use summary::Summary;
