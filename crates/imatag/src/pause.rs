//! The pause that Imatag asks for: until it is over, this process makes no call.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use tokio::time::Instant;

/// The pause after a 429 that names no time.
const UNSAID: Duration = Duration::from_mins(1);
/// The shortest pause: a service that says "at once" was busy a moment ago.
const SHORTEST: Duration = Duration::from_secs(1);
/// The longest pause: later than this, a call has to find out.
const LONGEST: Duration = Duration::from_hours(1);

/// The end of the pause, if there is one.
#[derive(Debug, Default)]
pub(super) struct Pause {
    until: Mutex<Option<Instant>>,
}

impl Pause {
    /// The rest of the pause, if there is one.
    pub(super) fn remaining(&self) -> Option<Duration> {
        let now = Instant::now();
        let mut until = self.lock();
        if until.take_if(|until| *until <= now).is_some() {
            tracing::info!("the pause that Imatag asked for is over");
        }
        until.map(|until| until - now)
    }

    /// Begins a pause of this length, or of the usual one. Returns how long nothing may be sent from now on.
    pub(super) fn begin(&self, asked: Option<Duration>) -> Duration {
        let wait = asked.unwrap_or(UNSAID).clamp(SHORTEST, LONGEST);
        let now = Instant::now();
        let mut until = self.lock();
        if until.is_none_or(|until| until <= now) {
            tracing::warn!(seconds = wait.as_secs(), "Imatag asks to wait; it is not called until then");
        }
        // Of several responses that were under way, the longest pause counts.
        let end = until.unwrap_or(now).max(now + wait);
        *until = Some(end);
        end - now
    }

    fn lock(&self) -> MutexGuard<'_, Option<Instant>> {
        self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Both forms of `Retry-After`: seconds, or a date, which is compared with the service's own clock if the response has one.
pub(super) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = date(text)?;
    let now = headers.get(DATE).and_then(|value| value.to_str().ok()).and_then(date).unwrap_or(now);
    Some(Duration::try_from(until.duration_since(now)).unwrap_or_default())
}

fn date(text: &str) -> Option<Timestamp> {
    jiff::fmt::rfc2822::parse(text).ok().map(|zoned| zoned.timestamp())
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderName, HeaderValue};

    use super::*;

    fn asked(headers: &[(HeaderName, &'static str)]) -> Option<u64> {
        let now = "2026-01-02T03:04:05Z".parse().unwrap();
        let pairs = headers.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value)));
        retry_after(&pairs.collect(), now).map(|wait| wait.as_secs())
    }

    #[test]
    fn retry_after_is_read_in_both_forms() {
        let table = [
            ("17", Some(17)),
            (" 17 ", Some(17)),
            ("Fri, 02 Jan 2026 03:05:05 GMT", Some(60)),
            ("Fri, 02 Jan 2026 03:00:05 GMT", Some(0)),
            ("-5", None),
            ("soon", None),
        ];
        for (text, wanted) in table {
            assert_eq!(asked(&[(RETRY_AFTER, text)]), wanted, "{text}");
        }
        assert_eq!(asked(&[]), None);
    }

    #[test]
    fn a_date_is_measured_by_the_clock_of_whoever_wrote_it() {
        let headers =
            [(RETRY_AFTER, "Fri, 02 Jan 2026 05:00:30 GMT"), (DATE, "Fri, 02 Jan 2026 05:00:00 GMT")];
        assert_eq!(asked(&headers), Some(30));
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_lasts_as_long_as_was_asked_within_reason() {
        let seconds = Duration::from_secs;
        let table = [
            (None, UNSAID),
            (Some(seconds(0)), SHORTEST),
            (Some(seconds(90)), seconds(90)),
            (Some(seconds(1_000_000)), LONGEST),
        ];
        for (wish, wanted) in table {
            let pause = Pause::default();
            assert_eq!(pause.begin(wish), wanted, "{wish:?}");
            tokio::time::advance(wanted - Duration::from_millis(1)).await;
            assert!(pause.remaining().is_some(), "{wish:?}");
            tokio::time::advance(Duration::from_millis(1)).await;
            assert_eq!(pause.remaining(), None, "{wish:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_shorter_wish_does_not_end_a_longer_pause() {
        let pause = Pause::default();
        pause.begin(Some(Duration::from_secs(90)));
        assert_eq!(pause.begin(Some(Duration::from_secs(5))), Duration::from_secs(90));
    }
}
