//! Moments in a job's life, on the job's own clock: its total wait.

use serde::{Deserialize, Deserializer, Serialize};

/// A moment, as the job's total wait in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct WaitMark(pub(super) u64);

impl<'de> Deserialize<'de> for WaitMark {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        /// Earlier releases wrote a time of day, which is meaningless on another machine.
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Waited(u64),
            TimeOfDay(#[expect(dead_code, reason = "only its presence counts")] jiff::Timestamp),
        }
        Ok(Self(match Written::deserialize(deserializer)? {
            Written::Waited(waited) => waited,
            Written::TimeOfDay(_) => u64::MAX,
        }))
    }
}
