//! A delivery from its receipt to its settlement, against services and a queue in memory.

mod close;
mod handle;
mod receive;
mod settle;
