//! Reads the announcements of other processes, and logs those that cannot be used.

use std::time::Duration;

use lapin::message::Delivery;
use tokio::time::Instant;

use super::authentic::Signer;
use super::message::small;
use super::topology::Topology;
use budget::Beat;

/// Anyone on the broker can publish announcements, so each process complains at most once in this time.
const COMPLAINTS_APART: Duration = Duration::from_mins(1);

/// An announcement as received.
pub(super) enum Announcement {
    /// From a process of this release, signed by a key of the fleet.
    Member(Box<Beat>),
    /// From a process of an earlier release, which must not work while this one does.
    Earlier(Box<Beat>),
    /// Not signed by a key of this fleet.
    Unsigned(Box<Beat>),
    /// Unreadable for this release.
    Unreadable(String),
}

impl Announcement {
    pub(super) fn of(signer: &Signer, message: &Delivery) -> Self {
        let is_authentic =
            || signer.of_groups().accepts(&[Topology::control()], &message.properties, &message.data);
        match small::<Beat>(&message.data) {
            Ok(beat) if beat.is_of_earlier_release() => Self::Earlier(Box::new(beat)),
            Ok(beat) if !is_authentic() => Self::Unsigned(Box::new(beat)),
            Ok(beat) => Self::Member(Box::new(beat)),
            Err(error) => Self::Unreadable(error.to_string()),
        }
    }
}

/// Logs what is wrong with announcements, at most once a minute.
#[derive(Default)]
pub(super) struct Complaints {
    said: Option<Instant>,
    unlogged: u64,
}

impl Complaints {
    /// Counts a complaint. Returns the count since the last logged one if this one is to be logged.
    fn add(&mut self, now: Instant) -> Option<u64> {
        self.unlogged += 1;
        if self.said.is_some_and(|said| now.duration_since(said) < COMPLAINTS_APART) {
            return None;
        }
        self.said = Some(now);
        Some(std::mem::take(&mut self.unlogged))
    }

    /// Logs the complaint, or only counts it.
    pub(super) fn complain(&mut self, announcement: &Announcement) {
        let Some(count) = self.add(Instant::now()) else { return };
        match announcement {
            Announcement::Member(_) => {}
            Announcement::Earlier(beat) => tracing::error!(
                count,
                program = beat.program,
                prefix = beat.deployment,
                "a process of an earlier release is at work in this virtual host, and makes calls that this one does not know \
                 of: stop it"
            ),
            Announcement::Unsigned(_) => {
                tracing::error!(
                    count,
                    "an announcement is not signed by a key of this fleet, and is not heard"
                );
            }
            Announcement::Unreadable(error) => {
                tracing::warn!(count, error, "an announcement cannot be read");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn complaints_about_announcements_are_counted_and_said_once_a_minute() {
        let mut complaints = Complaints::default();
        assert_eq!(complaints.add(Instant::now()), Some(1));
        for _ in 0..1000 {
            assert_eq!(complaints.add(Instant::now()), None);
        }
        tokio::time::advance(COMPLAINTS_APART).await;
        assert_eq!(complaints.add(Instant::now()), Some(1001));
    }
}
