//! Quiet hours: whether it is one, and what that means. Pure but for [`keep`], which lowers the budget.

use std::num::NonZeroU32;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;
use tokio_util::task::AbortOnDropHandle;

use budget::Budget;
use config::{Backlog, Config, QuietHours};

/// How often the clock is looked at: it may be set.
const LOOK: Duration = Duration::from_secs(1);

/// What the quiet hours that apply change, taken together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Effect {
    /// When the first of them ends.
    pub until: Timestamp,
    /// The lowest budget that any of them sets.
    pub requests_per_5_minutes: Option<NonZeroU32>,
    /// Whether any of them lets the backlog wait.
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

/// What the schedule says for this moment; `None` outside all quiet hours.
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

/// When the stretch ends in which `now` lies, if it lies in one: one that began today, or yesterday.
fn end_of_current(entry: &QuietHours, now: Timestamp) -> Option<Timestamp> {
    let today = entry.time_zone.0.to_datetime(now).date();
    let ends = [today, today.yesterday().ok()?].into_iter().filter_map(|date| {
        let (from, to) = stretch(entry, date)?;
        (from <= now && now < to).then_some(to)
    });
    ends.max()
}

/// The stretch that begins on this date, if one does.
///
/// Each time of day happens once a day: one that the clocks skip comes as much later as they are put forward, and
/// one that they show twice is the first of the two.
fn stretch(entry: &QuietHours, date: Date) -> Option<(Timestamp, Timestamp)> {
    if !entry.days.iter().any(|day| day.is(date.weekday())) {
        return None;
    }
    let last = if entry.to.0 > entry.from.0 { date } else { date.tomorrow().ok()? };
    let moment = |date: Date, time| entry.time_zone.0.to_timestamp(date.to_datetime(time)).ok();
    Some((moment(date, entry.from.0)?, moment(last, entry.to.0)?))
}

/// The portal calls in five minutes that this moment allows.
pub fn requests(config: &Config, now: Timestamp) -> NonZeroU32 {
    let lowered = active(&config.quiet_hours, now).and_then(|effect| effect.requests_per_5_minutes);
    lowered.unwrap_or(config.bynder.requests_per_5_minutes)
}

/// Keeps the budget at what the schedule allows, from now on until it is dropped.
///
/// Every process goes by its own clock. Quiet hours only lower the budget, so two that disagree for a moment spend
/// at most what is allowed at other times.
pub fn keep(config: &Config, budget: &Budget) -> AbortOnDropHandle<()> {
    let (config, budget) = (config.clone(), budget.clone());
    let mut known = active(&config.quiet_hours, Timestamp::now());
    budget.set_requests(requests(&config, Timestamp::now()));
    tell(None, known);
    AbortOnDropHandle::new(tasks::lasting(async move {
        loop {
            tokio::time::sleep(LOOK).await;
            let now = Timestamp::now();
            let effect = active(&config.quiet_hours, now);
            if effect != known {
                budget.set_requests(requests(&config, now));
                tell(known, effect);
                known = effect;
            }
        }
    }))
}

fn tell(before: Option<Effect>, after: Option<Effect>) {
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

    /// Fails unless the entry is active at exactly those of the moments that are marked so.
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
