//! The portal's clock, by the `Date` of its answers.

use std::sync::atomic::{AtomicI64, Ordering};

use jiff::{SignedDuration, Timestamp};
use reqwest::header::{DATE, HeaderMap};

/// How far the portal's clock is ahead of this machine's. Answers state whole seconds.
#[derive(Debug, Default)]
pub(super) struct PortalClock {
    ahead_ms: AtomicI64,
}

impl PortalClock {
    /// Notes the time of an answer that was just received.
    pub(super) fn note(&self, headers: &HeaderMap) {
        if let Some(ahead) = portal_time(headers).map(|time| time.duration_since(Timestamp::now())) {
            let ahead = i64::try_from(ahead.as_millis()).unwrap_or_default();
            self.ahead_ms.store(ahead, Ordering::Relaxed);
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        let ahead = SignedDuration::from_millis(self.ahead_ms.load(Ordering::Relaxed));
        let now = Timestamp::now();
        now.checked_add(ahead).unwrap_or(now)
    }
}

/// The time that an answer states.
pub(super) fn portal_time(headers: &HeaderMap) -> Option<Timestamp> {
    let text = headers.get(DATE)?.to_str().ok()?;
    jiff::fmt::rfc2822::parse(text).ok().map(|zoned| zoned.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_portals_time_is_told_by_its_latest_answer_whatever_this_machines_clock() {
        let clock = PortalClock::default();
        let before = Timestamp::now();
        assert!(clock.now() >= before);
        let headers = |date: &str| HeaderMap::from_iter([(DATE, date.parse().unwrap())]);
        clock.note(&headers("Thu, 01 Jan 2099 00:00:00 GMT"));
        let portal: Timestamp = "2099-01-01T00:00:00Z".parse().unwrap();
        assert!(clock.now().duration_since(portal).abs() < SignedDuration::from_mins(1));
        clock.note(&headers("soon"));
        assert!(clock.now() >= portal - SignedDuration::from_mins(1));
    }
}
