//! The state of the work, as `connector status` and the operator's page show it: from the record in the state directory, and
//! from the queue.

pub mod asked;
mod cost;
mod forecast;
mod queues;
mod standing;

pub use cost::calls_an_asset;
pub use forecast::{Ended, Forecast, forecast};
pub use queues::Queues;
pub use standing::Standing;
