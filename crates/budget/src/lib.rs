//! The request budget: Bynder allows 4500 requests in any five minutes per source address, and after a 429 it
//! refuses everything until five minutes pass without a single request.
//!
//! In a fleet the broker shares it: one [`minter`] an egress group publishes [`token`]s at the group's rate, and a member
//! spends one for each call. Without a broker the whole budget is one process's, in a token [`bucket`], and its silence is
//! on record in the state directory. [`gate`] holds the portal calls of a process until its [`member`] lets them go.
//!
//! ```
//! use std::num::NonZeroU32;
//!
//! use budget::Budget;
//!
//! let budget = Budget::alone(NonZeroU32::new(4000).unwrap(), None);
//! assert_eq!((budget.figures().calls, budget.is_halted()), (0, false));
//! ```

mod beat;
mod bucket;
mod gate;
mod group;
mod member;
mod minter;
#[cfg(any(test, feature = "fault-injection"))]
pub mod model;
mod pauses;
mod purse;
mod record;
mod silence;
mod timing;
mod token;

#[cfg(test)]
mod minter_tests;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

pub use beat::Beat;
pub use beat::MOST_MEMBERS;
pub use gate::{Budget, Demand, Figures};
pub use member::News;
pub use minter::{Duty, Look, Minter};
pub use record::{OperatorPause, Records};
pub use timing::Timing;
pub use token::Token;
pub use token::{GOOD_FOR, MOST_QUEUED, PREFETCH};
