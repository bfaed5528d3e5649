//! Decisions as pure functions: what the facts mean, without acting on them.

mod copy;
mod file;
mod marker;
mod open;
mod save;
mod submit;
mod wait;

pub use copy::{
    CannotCopy, OriginalCheck, check_original, copy_fields, differences, is_copy, records_of_original,
};
pub use file::{FileDecision, decide_file};
pub use marker::{UnshownMarker, unshown_marker};
pub use open::{Obstacles, open_steps};
pub use save::{
    ExpectedAtSave, SaveDecision, decide_from_asset, is_crossed, not_ours, record_from_listing_row,
};
pub use submit::{ExpectedAtSubmit, SubmitDecision, decide_submit, matches_row};
pub use wait::{LONGEST_CONVERSION, LONGEST_POLL, Rungs};
