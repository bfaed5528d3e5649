//! Decisions as pure functions: what the facts mean, without doing anything about it.

mod copy;
mod file;
mod look;
mod open;
mod standing;
mod wait;

pub use copy::{
    CannotCopy, OriginalLook, copy_fields, differences, is_copy, look_at_original, records_of_original,
};
pub use file::{FileDecision, decide_file};
pub use look::{Look, Sight, glance, is_crossed, look, not_ours};
pub use open::{Obstacles, open_steps};
pub use standing::{Known, Standing, standing, stands_as_known};
pub use wait::{attempt_rung, idle_rung, suspect_rung};
