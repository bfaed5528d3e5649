//! The request budget: Bynder allows 4500 requests in any five minutes per source address, and after a 429 it
//! refuses everything until five minutes pass without a single request.
//!
//! [`Budget`] is the gate of a process: portal calls wait there until they are admitted. In a fleet the broker shares the
//! budget: the one [`Minter`] of an egress group publishes [`Token`]s at the group's rate, and each call spends one. Without
//! a broker one process has the whole budget, in a token bucket, and keeps its silence in the state directory ([`Records`]).
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
pub use minter::{BrokerView, Duty, Minter};
pub use record::{OperatorPause, Records};
pub use timing::Timing;
pub use token::Token;
pub use token::{GOOD_FOR, MOST_QUEUED, PREFETCH};
