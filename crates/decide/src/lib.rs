//! Decisions as pure functions: what a view of an asset means for a job, and how long a job waits.
//!
//! Nothing here sends a request, reads a clock or changes anything: the worker's steps and `connector restore` ask, and act.
//! [`SaveDecision`], the main type, is what a job may do to an asset that it is about to change; [`Rungs`] are the delays
//! of waiting jobs.
//!
//! ```
//! use std::time::Duration;
//!
//! use decide::{Rungs, UnshownMarker, unshown_marker};
//!
//! let rungs = Rungs::new([5, 20, 120].map(Duration::from_secs).to_vec());
//! assert_eq!(rungs.suspect(Duration::from_mins(1)), Duration::from_mins(2));
//! assert_eq!(unshown_marker(1), UnshownMarker::Wait);
//! ```

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
