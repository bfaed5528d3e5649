//! The producer: finds the assets to protect and publishes a job for each.
//!
//! [`enumerate`] walks the library, [`filter`] and [`select`] decide by each row alone, [`run`] publishes and
//! keeps the books.

pub mod enumerate;
pub mod filter;
pub mod nearest;
mod patience;
pub mod portal;
pub mod run;
pub mod select;
mod summary;

pub use patience::{Patience, patiently};
pub use summary::Summary;
