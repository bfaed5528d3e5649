//! At Bynder's limit: how much of the budget is used, and whether the limit is ever exceeded.

use std::time::Duration;

use anyhow::ensure;
use serde_json::Value;

use crate::lab::{Lab, Library};
use crate::table::Table;
use crate::usage;

const BUDGET: f64 = 4000.0;
const WINDOW: f64 = 300.0;
const CONCURRENCY: u32 = 32;
/// The calls per asset of one part that docs/budget.md promises.
const CALLS_EACH: f64 = 7.5;

pub(crate) async fn measure(is_short: bool) -> anyhow::Result<Table> {
    let (workers, pictures) = (2, if is_short { 40 } else { 3000 });
    let (warm_up, steady) = if is_short {
        (Duration::from_secs(4), Duration::from_secs(4))
    } else {
        (Duration::from_mins(5), Duration::from_mins(15))
    };
    let (watermark_time, import_time) = if is_short {
        (Duration::ZERO, Duration::ZERO)
    } else {
        (Duration::from_secs(5), Duration::from_secs(10))
    };
    let how = format!(
        "{workers} workers, after a producer has published; 4000 requests in 5 minutes, of the 4500 that the sandbox allows; a watermark \
         takes {watermark_time:?}, an import {import_time:?}; `worker.concurrency = {CONCURRENCY}`, default waits; {} s of steady \
         state after {} s.",
        steady.as_secs(),
        warm_up.as_secs()
    );
    let mut table = Table::new("At the API limit", how);
    let library = Library {
        pictures,
        bytes: 100 << 10,
        limited: true,
        watermark_time,
        import_time,
        ..Library::default()
    };
    let lab = Lab::new(&library).await?;
    let (bynder, worker) = ("requests_per_5_minutes = 4000", format!("concurrency = {CONCURRENCY}"));
    if is_short {
        lab.configure(bynder, &worker)?;
    } else {
        lab.configure_with_default_waits(bynder, &worker)?;
    }
    let mut children = lab.workers(workers)?;
    let producer = lab.program("producer", &["sync", "--full"])?.spawn()?;
    usage::to_its_end(producer, &[0]).await?;
    tokio::time::sleep(warm_up).await;
    let before = lab.stats().await?;
    tokio::time::sleep(steady).await;
    let stats = lab.stats().await?;
    let made = |name: &str| count(&stats["requests"][name]) - count(&before["requests"][name]);
    let calls = count(&stats["portal_calls"]) - count(&before["portal_calls"]);
    let saves = made("bynder.save");
    for child in &mut children {
        ensure!(child.try_wait()?.is_none(), "a worker ended");
    }
    let (protected, violations) = lab.audit().await?;
    ensure!(violations.is_empty(), "the audit is not clean: {violations:?}");
    ensure!(protected < pictures as usize, "the library was too small: there was nothing left to do");
    let begun = count(&stats["requests"]["bynder.download"]);
    ensure!(is_short || begun < u64::from(pictures), "the library was too small: all of it was begun");
    let allowed = BUDGET * steady.as_secs_f64() / WINDOW;
    let share = 100.0 * calls as f64 / allowed;
    table.add(
        "portal calls, of those that the budget allows",
        format!("{calls} of {allowed:.0}: {share:.1} %"),
    );
    table.promise("95 % of the budget in steady state", format!("{share:.1} %"), share >= 95.0);
    table.add("refusals (429)", stats["refusals"].to_string());
    table.promise("no refusals", stats["refusals"].to_string(), count(&stats["refusals"]) == 0);
    table.add("the busiest five minutes", format!("{} calls", stats["busiest_window"]));
    // The assets that began in this time are not those that ended in it, so the figures by kind show more than their sum.
    let names = stats["requests"].as_object().into_iter().flat_map(|requests| requests.keys());
    let each = |calls: u64| format!("{:.2}", calls as f64 / saves.max(1) as f64);
    let kinds: Vec<_> = names
        .filter_map(|name| Some((name.strip_prefix("bynder.")?, made(name))))
        .filter(|(_, made)| *made > 0)
        .map(|(kind, made)| format!("{kind} {}", each(made)))
        .collect();
    table.add("calls for each save", format!("{}: {}", each(calls), kinds.join(", ")));
    let is_met = calls as f64 <= CALLS_EACH * saves as f64;
    table.promise(format!("at most {CALLS_EACH} calls for each save"), each(calls), is_met);
    table.add(
        "assets",
        format!(
            "{:.2} a second, {:.0} a day",
            saves as f64 / steady.as_secs_f64(),
            86_400.0 * saves as f64 / steady.as_secs_f64()
        ),
    );
    Ok(table)
}

fn count(value: &Value) -> u64 {
    value.as_u64().unwrap_or_default()
}
