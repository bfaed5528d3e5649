//! What a person requested for a library, and which part of it a run takes. Neither a default walk nor a widened
//! filter takes assets that no person requested, since each watermark is paid for.

use bynder::patience::{Patience, patiently};
use common::failure::Failure;
use config::{Config, Filters, Limits};
use ledger::Ledger;
use serde_json::Value;
use standing::asked::{Asked, Unrequested, held};

use crate::arguments::{Asker, Hold, RunArguments};
use crate::asked::{asked, left, note, settle, unrequested};
use crate::run::{self, Admission, Environment, Options, Report};
use crate::{cursor, filter, first_run, full_run};

/// Fewer jobs would be done before the next run publishes more.
const LEAST_FRESH: u64 = 10;

/// The purpose of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Do the run.
    Work,
    /// Only show it: nothing is recorded.
    Plan,
}

/// A run that may start.
#[derive(Debug)]
pub(crate) struct Ready {
    /// What it has to do.
    pub options: Options,
    /// The assets that wait until they are requested.
    pub held: Option<Unrequested>,
    /// What counts as requested once the walk has finished.
    accepted: Option<Asked>,
}

/// Determines what a run has to do from the command line, the configuration and earlier requests.
///
/// # Errors
/// [`Failure::Limit`]: no person requested a first run over this library.
pub(crate) async fn ready(
    config: &Config,
    environment: &Environment,
    run: &RunArguments,
    purpose: Purpose,
    patience: &Patience,
) -> Result<Ready, Failure> {
    let ledger = &environment.ledger;
    let cursor = ledger.cursor().await?;
    let options = Options {
        max_assets: run.max_assets,
        dry_run: purpose == Purpose::Plan,
        is_part: run.is_part(),
        // A schedule would retry them again and again.
        retries_named: run.hold == Hold::Once && run.asker == Asker::Person,
        retry_failed: run.retry_failed,
        most_fresh: (run.hold == Hold::Always).then(|| most_fresh(config)),
        ..Options::default()
    };
    let plain = |scope| Ready { options: Options { scope, ..options.clone() }, held: None, accepted: None };
    let changes = cursor::since(cursor, config.producer.overlap.0).map(run::Scope::Since);
    let typed = match (run.full || run.goes_by_name(), run.since) {
        (true, _) => Some(run::Scope::Full),
        (false, since) => since.map(run::Scope::Since),
    };
    let filters = serde_json::to_value(&config.filters);
    let filters = filters.map_err(|error| Failure::Unexpected(error.to_string()))?;
    let (Some(changes), false) = (changes, run.is_part()) else {
        let by_delta = changes.filter(|_| config.delta || run.delta);
        let ready = plain(typed.or(by_delta).unwrap_or_default());
        if purpose == Purpose::Work && run.asker == Asker::Person {
            first_run::guard(config, run, environment, &ready.options, patience, cursor.is_some()).await?;
            if !run.is_part() {
                let known = asked(ledger, &environment.filter.fingerprint(), &filters).await?;
                note(ledger, &at_first(run, known, filters)).await?;
            }
        }
        return Ok(ready);
    };
    let known = asked(ledger, &environment.filter.fingerprint(), &filters).await?.unwrap_or_default();
    let is_widened = known.filters.as_ref() != Some(&filters);
    let accepted = Asked { filters: Some(filters.clone()), ..known.clone() };
    if purpose == Purpose::Work && ledger.asked().await?.is_none() {
        note(ledger, &known).await?;
    }
    if run.full && run.asker == Asker::Person {
        let whole = Asked { since: None, cap: None, ..accepted };
        // Without a cap, all of it counts as requested from now on; with one, once the walk has finished.
        if purpose == Purpose::Work && run.max_assets.is_none() {
            note(ledger, &whole).await?;
            ledger.set_held(None).await?;
        }
        return Ok(Ready { accepted: Some(whole), ..plain(run::Scope::Full) });
    }
    if let (Some(scope), false) = (typed, run.full) {
        return Ok(plain(scope));
    }
    let is_capped = run.max_assets.is_some() || config.limits.assets_per_run.is_some();
    let takes_more = is_widened && is_capped && !run.delta;
    let asked_for = left(ledger, known.cap.filter(|_| !is_capped)).await?;
    let is_due = run.full || full_run::is_due(config, ledger, run).await?;
    let walks = takes_more || is_due && asked_for.is_none_or(|(_, left)| left > 0);
    let whole = known.since.map_or(run::Scope::Full, run::Scope::WholeSince);
    let mut ready = plain(if walks { whole } else { changes });
    if takes_more || !is_widened {
        ready.options.asked_for = asked_for.filter(|_| walks);
        ready.accepted = takes_more.then_some(accepted);
        return Ok(ready);
    }
    let admission = admission(environment, known.filters, &config.filters, patience).await?;
    ready.held = held(ledger).await?.filter(|held| held.filters == filters);
    if ready.held.is_none() && purpose == Purpose::Work {
        let dry = Options { scope: whole, dry_run: true, admission: admission.clone(), ..Options::default() };
        let unlimited = Environment { limits: Limits::default(), ..environment.clone() };
        let counted = Box::pin(run::run(&unlimited, &dry, patience, |_| {})).await?;
        ready.held = unrequested(&counted, config, filters);
        settle(ledger, ready.held.as_ref(), accepted.clone()).await?;
        if let Some(held) = &ready.held {
            let words = held.in_words();
            tracing::warn!(assets = held.assets, "{words}");
        }
    }
    if walks {
        ready.options.asked_for = asked_for;
        ready.options.admission = if ready.held.is_some() { admission } else { Admission::All };
        ready.accepted = Some(accepted);
    }
    Ok(ready)
}

/// About as many jobs as workers begin within a minute, if nothing but the request budget limits them.
fn most_fresh(config: &Config) -> u64 {
    const CALLS_AN_ASSET: u64 = 13;
    (u64::from(config.bynder.requests_per_5_minutes.get()) / 5 / CALLS_AN_ASSET).max(LEAST_FRESH)
}

impl Ready {
    /// Records what the run changes in the request, and what waits now.
    pub(crate) async fn conclude(
        &mut self,
        config: &Config,
        ledger: &Ledger,
        report: &Report,
    ) -> Result<(), Failure> {
        let Some(accepted) = self.accepted.take().filter(|_| report.found.limit.is_none()) else {
            return Ok(());
        };
        self.held = accepted.filters.clone().and_then(|filters| unrequested(report, config, filters));
        settle(ledger, self.held.as_ref(), accepted).await
    }
}

/// What the first run over a library requests. Caps add up: each requests that many more assets.
fn at_first(run: &RunArguments, known: Option<Asked>, filters: Value) -> Asked {
    let before = known.filter(|_| !run.full && run.since.is_none());
    let cap = match (before.as_ref().map(|before| before.cap), run.max_assets) {
        (Some(None), _) => None,
        (Some(Some(before)), Some(more)) => Some(before.saturating_add(more)),
        (Some(before), None) => before,
        (None, first) => first,
    };
    let since = before.map_or(run.since, |before| before.since);
    Asked { since, cap, filters: Some(filters) }
}

/// Which of the assets that match now already matched under the filters at the time of the request.
async fn admission(
    environment: &Environment,
    before: Option<Value>,
    now: &Filters,
    patience: &Patience,
) -> Result<Admission, Failure> {
    let before = before.and_then(|before| serde_json::from_value::<Filters>(before).ok());
    // Rows show neither collections nor keyword matches.
    let comparable =
        before.filter(|before| before.collections == now.collections && before.keyword == now.keyword);
    let Some(before) = comparable else { return Ok(Admission::Nothing) };
    let known = patiently(patience, || environment.bynder.metaproperties()).await?;
    match filter::resolve(&before, &environment.bynder, &known).await {
        Ok(filter) => Ok(Admission::Under(Box::new(filter))),
        Err(filter::ResolveError::Bynder(error)) => Err(error.into()),
        // The portal no longer knows a name, so what the filter used to match is unknown.
        Err(_) => Ok(Admission::Nothing),
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn the_first_run_says_what_was_asked_for_and_caps_add_up() {
        let since = Some(Timestamp::UNIX_EPOCH);
        let (full, from) = (
            RunArguments { full: true, ..RunArguments::default() },
            RunArguments { since, ..RunArguments::default() },
        );
        let capped = RunArguments { max_assets: Some(3), ..RunArguments::default() };
        let asked = |since, cap| Asked { since, cap, filters: Some(Value::Null) };
        let table = [
            (&full, None, asked(None, None)),
            (&from, None, asked(since, None)),
            (&capped, None, asked(None, Some(3))),
            (&capped, Some(asked(None, Some(3))), asked(None, Some(6))),
            // A walk over all of it was requested before, and interrupted.
            (&capped, Some(asked(None, None)), asked(None, None)),
            (&from, Some(asked(None, Some(3))), asked(since, None)),
            (&full, Some(asked(since, Some(3))), asked(None, None)),
            // Only limits.assets_per_run: it is configured, and applies to each run.
            (&RunArguments::default(), None, asked(None, None)),
        ];
        for (run, known, expected) in table {
            assert_eq!(at_first(run, known.clone(), Value::Null), expected, "{run:?} after {known:?}");
        }
    }

    #[test]
    fn filters_are_noted_as_they_are_configured() {
        let text = "types = ['image']\nnames = ['a*']\ncreated = '2024-01-01..'\nmin_size = '5 MB'\nsample = 0.1\n\
                    orientation = ['landscape']\n[metaproperties]\nCountry = ['France']\n[exclude]\ntags = ['draft']";
        let filters: Filters = toml::from_str(text).unwrap();
        let noted = serde_json::to_value(&filters).unwrap();
        let read: Filters = serde_json::from_value(noted.clone()).unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap(), noted);
    }
}
