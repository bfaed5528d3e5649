//! The record as it is stored: ids as bytes, names as codes, outcomes as rows.

mod codes;
mod jobs;
mod packed;
mod row;

pub(crate) use codes::{DROPPED, FAILED, Kind, lane_of, of_lane};
pub(crate) use jobs::{Flags, asset, find, find_or_insert, insert, outcome};
pub(crate) use packed::{Form, Packed, unpacked};
pub(crate) use row::{COLUMNS, JOINED, JobRow, Recorded, append, append_unreadable, nanoseconds};
