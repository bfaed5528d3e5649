//! A delivery from receipt to settlement, against services and a queue in memory.

mod close;
mod consume;
mod handle;
mod outages;
mod receive;
mod settle;
