//! A connection to the broker that survives what a broker, a network and other publishers do. It knows no queue of the fleet.
//!
//! [`Address`] says where the broker is and what to trust; it refuses plain text to another machine. [`Link`], the main type,
//! keeps one connection open by an [`Opener`]; [`Channels`] reuses its channels. Incoming frames pass a sieve, since the client
//! overflows its stack on some. Errors and texts of the broker become strings only without its password.
//!
//! ```
//! use amqp::Address;
//! use secrecy::SecretString;
//!
//! let address = |url: &str| Address::new(&SecretString::from(url), false, None, "worker");
//! assert!(address("amqp://user:password@127.0.0.1:5672/%2f").is_ok());
//! let refused = address("amqp://user:password@rabbitmq.internal/%2f").err().unwrap();
//! assert!(refused.to_string().contains("must use amqps://"));
//! ```

mod address;
mod authority;
mod channels;
mod connection;
mod consuming;
mod link;
pub mod message;
mod redact;
mod sieve;

pub use address::Address;
pub use channels::{Channels, For, Opened, Pooled, discard};
pub use connection::{ANSWER, ConnectError, Live, answered, in_time, is_absence, trouble};
pub use consuming::{close, consume};
pub use link::{Link, Opener};
pub use redact::said;
pub use sieve::Closing;
