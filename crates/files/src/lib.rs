//! Files on disk: private ones, ones that people write, and the spool.

pub mod private;
pub mod spool;
pub mod written;
