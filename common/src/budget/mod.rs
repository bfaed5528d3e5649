//! The request budget: Bynder allows 4500 requests in any five minutes per source address, and after a 429 it
//! refuses everything until five minutes pass without a single request.
//!
//! [`member`] is one process's part, pure: its token bucket, its [`share`] of what the egress group may spend, and the
//! [`silence`] after a 429. [`gate`] holds the portal calls of a process until its member lets them go. Members talk
//! over the broker's control exchange; a process without a broker has the whole budget, and keeps its silence on
//! record in the state directory.

mod beat;
mod bucket;
mod gate;
mod member;
mod pauses;
mod record;
mod share;
mod silence;
mod timing;

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

pub use beat::Beat;
pub use gate::{Budget, Figures};
pub use record::{OperatorPause, Records};
pub use timing::Timing;
