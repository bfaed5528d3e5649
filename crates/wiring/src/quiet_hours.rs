//! Quiet hours: which apply, and their effect. All functions are pure except [`keep`], which lowers the budget.

use std::num::NonZeroU32;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;
use tokio_util::task::AbortOnDropHandle;

use budget::Budget;
use config::{Backlog, Config, QuietHours};

/// How often the clock is read; it may be set at any time.
const LOOK: Duration = Duration::from_secs(1);

/// The combined effect of the quiet hours that apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Effect {
    /// When the first of them ends.
    pub until: Timestamp,
    /// The lowest budget that any of them sets.
    pub requests_per_5_minutes: Option<NonZeroU32>,
    /// Whether any of them pauses the backlog.
    pub backlog_paused: bool,
}

impl Effect {
    fn and(self, other: Self) -> Self {
        let requests = [self.requests_per_5_minutes, other.requests_per_5_minutes];
        Self {
            until: self.until.min(other.until),
            requests_per_5_minutes: requests.into_iter().flatten().min(),
            backlog_paused: self.backlog_paused || other.backlog_paused,
        }
    }
}

/// The effect of the schedule at this moment; `None` outside all quiet hours.
pub fn active(schedule: &[QuietHours], now: Timestamp) -> Option<Effect> {
    let effects = schedule.iter().filter_map(|entry| {
        let until = end_of_current(entry, now)?;
        Some(Effect {
            until,
            requests_per_5_minutes: entry.requests_per_5_minutes,
            backlog_paused: entry.backlog == Some(Backlog::Pause),
        })
    });
    effects.reduce(Effect::and)
}

/// The end of the period that contains `now`, if one does; it began today or yesterday.
fn end_of_current(entry: &QuietHours, now: Timestamp) -> Option<Timestamp> {
    let today = entry.time_zone.0.to_datetime(now).date();
    let ends = [today, today.yesterday().ok()?].into_iter().filter_map(|date| {
        let (from, to) = stretch(entry, date)?;
        (from <= now && now < to).then_some(to)
    });
    ends.max()
}

/// The period that begins on this date, if one does.
///
/// Each time of day occurs once a day. A time that the clocks skip comes later by the length of the gap; of one that they
/// show twice, the first counts.
fn stretch(entry: &QuietHours, date: Date) -> Option<(Timestamp, Timestamp)> {
    if !entry.days.iter().any(|day| day.is(date.weekday())) {
        return None;
    }
    let last = if entry.to.0 > entry.from.0 { date } else { date.tomorrow().ok()? };
    let moment = |date: Date, time| entry.time_zone.0.to_timestamp(date.to_datetime(time)).ok();
    Some((moment(date, entry.from.0)?, moment(last, entry.to.0)?))
}

/// The budget at this moment, in portal calls per five minutes.
pub fn requests(config: &Config, now: Timestamp) -> NonZeroU32 {
    let lowered = active(&config.quiet_hours, now).and_then(|effect| effect.requests_per_5_minutes);
    lowered.unwrap_or(config.bynder.requests_per_5_minutes)
}

/// Keeps the budget at what the schedule allows, until the handle is dropped.
///
/// Every process uses its own clock. This is safe, because quiet hours only lower the budget: processes that disagree for a
/// moment make at most the calls that are allowed at other times.
pub fn keep(config: &Config, budget: &Budget) -> AbortOnDropHandle<()> {
    let (config, budget) = (config.clone(), budget.clone());
    let mut known = active(&config.quiet_hours, Timestamp::now());
    budget.set_requests(requests(&config, Timestamp::now()));
    log(None, known);
    AbortOnDropHandle::new(tasks::lasting(async move {
        loop {
            tokio::time::sleep(LOOK).await;
            let now = Timestamp::now();
            let effect = active(&config.quiet_hours, now);
            if effect != known {
                budget.set_requests(requests(&config, now));
                log(known, effect);
                known = effect;
            }
        }
    }))
}

fn log(before: Option<Effect>, after: Option<Effect>) {
    match (before, after) {
        (_, Some(effect)) => tracing::warn!(
            until = %effect.until, requests = effect.requests_per_5_minutes,
            backlog_paused = effect.backlog_paused, "quiet hours"
        ),
        (Some(_), None) => tracing::info!("quiet hours are over"),
        (None, None) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(toml: &str) -> QuietHours {
        toml::from_str(&format!("{toml}\nbacklog = 'pause'")).unwrap()
    }

    fn paris(times: &str) -> QuietHours {
        entry(&format!("{times}\ntime_zone = 'Europe/Paris'"))
    }

    /// Asserts that the entry is active at the moments that are marked `true`, and at no other.
    fn assert_active(entry: &QuietHours, moments: &[(&str, bool)]) {
        for (moment, wanted) in moments {
            let now: Timestamp = moment.parse().unwrap();
            let effect = active(std::slice::from_ref(entry), now);
            assert_eq!(effect.is_some(), *wanted, "{entry:?} at {moment}");
            assert!(effect.is_none_or(|effect| effect.until > now), "{entry:?} at {moment}");
        }
    }

    #[test]
    fn a_stretch_begins_with_its_first_moment_and_ends_before_its_last() {
        let office = paris("from = '08:00'\nto = '18:00'");
        let moments = [
            ("2026-01-14T06:59:59Z", false),
            ("2026-01-14T07:00:00Z", true),
            ("2026-01-14T16:59:59Z", true),
            ("2026-01-14T17:00:00Z", false),
            // In summer the same times of day are an hour earlier.
            ("2026-07-15T05:59:59Z", false),
            ("2026-07-15T06:00:00Z", true),
            ("2026-07-15T16:00:00Z", false),
        ];
        assert_active(&office, &moments);
    }

    #[test]
    fn a_stretch_over_midnight_belongs_to_the_day_it_begins_on() {
        let friday = entry("days = ['fri']\nfrom = '22:00'\nto = '06:00'");
        let moments = [
            ("2026-01-16T05:00:00Z", false),
            ("2026-01-16T21:59:59Z", false),
            ("2026-01-16T22:00:00Z", true),
            ("2026-01-17T00:00:00Z", true),
            ("2026-01-17T05:59:59Z", true),
            ("2026-01-17T06:00:00Z", false),
            ("2026-01-17T23:00:00Z", false),
        ];
        assert_active(&friday, &moments);
    }

    #[test]
    fn days_are_those_of_the_time_zone() {
        // Monday in Auckland begins while it is Sunday noon in Greenwich.
        let monday = entry("days = ['mon']\nfrom = '00:00'\nto = '08:00'\ntime_zone = 'Pacific/Auckland'");
        assert_active(&monday, &[("2026-07-12T11:59:59Z", false), ("2026-07-12T12:00:00Z", true)]);
    }

    #[test]
    fn the_same_time_twice_is_a_whole_day() {
        let sunday = entry("days = ['sun']\nfrom = '00:00'\nto = '00:00'");
        let moments = [
            ("2026-01-17T23:59:59Z", false),
            ("2026-01-18T00:00:00Z", true),
            ("2026-01-18T23:59:59Z", true),
            ("2026-01-19T00:00:00Z", false),
        ];
        assert_active(&sunday, &moments);
    }

    #[test]
    fn a_time_that_the_clocks_skip_comes_as_much_later() {
        // On 29 March 2026 clocks in Paris go from 02:00 to 03:00, which is 01:00 in Greenwich.
        let skipped = paris("from = '02:15'\nto = '05:00'");
        let moments = [
            ("2026-03-29T01:14:59Z", false),
            ("2026-03-29T01:15:00Z", true),
            ("2026-03-29T02:59:59Z", true),
            ("2026-03-29T03:00:00Z", false),
        ];
        assert_active(&skipped, &moments);
    }

    #[test]
    fn a_time_that_the_clocks_show_twice_counts_once() {
        // On 25 October 2026 clocks in Paris go from 03:00 back to 02:00, which is 01:00 in Greenwich.
        let shown_twice = paris("from = '02:15'\nto = '02:45'");
        let moments = [
            ("2026-10-25T00:14:59Z", false),
            ("2026-10-25T00:15:00Z", true),
            ("2026-10-25T00:45:00Z", false),
            ("2026-10-25T01:15:00Z", false),
        ];
        assert_active(&shown_twice, &moments);
        let over_it = paris("from = '22:00'\nto = '06:00'");
        let moments = [
            ("2026-10-24T20:00:00Z", true),
            ("2026-10-25T00:30:00Z", true),
            ("2026-10-25T01:30:00Z", true),
            ("2026-10-25T04:59:59Z", true),
            ("2026-10-25T05:00:00Z", false),
        ];
        assert_active(&over_it, &moments);
    }

    #[tokio::test]
    async fn the_budget_is_lowered_from_the_first_moment_on() {
        let configured = |more: &str| -> Config {
            let sections = "[bynder]\ndomain = 'd'\nhash_metaproperty = 'm'\n[imatag]\ndirectory = 'd'\n";
            toml::from_str(&format!("{sections}{more}")).unwrap()
        };
        let share = |config: &Config| {
            let budget = Budget::alone(config.bynder.requests_per_5_minutes, None);
            let _keeping = keep(config, &budget);
            budget.figures().share.round()
        };
        let always = "[[quiet_hours]]\nfrom = '00:00'\nto = '00:00'\nrequests_per_5_minutes = 1000";
        assert!((share(&configured(always)) - 1000.0).abs() < 1.0);
        assert!((share(&configured("")) - 4000.0).abs() < 1.0);
    }

    #[test]
    fn of_several_that_apply_the_strictest_counts_and_the_first_end() {
        let parse = |text: &str| toml::from_str::<QuietHours>(text).unwrap();
        let schedule = [
            parse("from = '08:00'\nto = '18:00'\nrequests_per_5_minutes = 1000"),
            parse("from = '12:00'\nto = '14:00'\nrequests_per_5_minutes = 2000\nbacklog = 'pause'"),
        ];
        let at = |text: &str| active(&schedule, text.parse().unwrap());
        let effect = at("2026-01-14T13:00:00Z").unwrap();
        assert_eq!(effect.requests_per_5_minutes.map(NonZeroU32::get), Some(1000));
        assert_eq!(
            (effect.backlog_paused, effect.until.to_string().as_str()),
            (true, "2026-01-14T14:00:00Z")
        );
        assert!(!at("2026-01-14T15:00:00Z").unwrap().backlog_paused);
        assert_eq!(at("2026-01-14T20:00:00Z"), None);
    }
}
