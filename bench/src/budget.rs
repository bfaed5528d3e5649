//! At Bynder's limit: how much of the budget is used, and whether it is ever crossed.

use std::time::Duration;

use crate::lab::{Lab, Library};
use crate::table::Table;

const BUDGET: f64 = 4000.0;
const WINDOW: f64 = 300.0;

pub(crate) async fn measure(is_short: bool) -> anyhow::Result<Table> {
    let (workers, pictures) = (2, if is_short { 20 } else { 1200 });
    let (warm_up, steady) = if is_short {
        (Duration::from_secs(4), Duration::from_secs(4))
    } else {
        (Duration::from_secs(40), Duration::from_mins(5))
    };
    let how = format!(
        "{workers} workers and a producer, 4000 requests in 5 minutes of the sandbox's 4500; {} s of steady state after {} s.",
        steady.as_secs(),
        warm_up.as_secs()
    );
    let mut table = Table::new("At the API limit", how);
    let lab = Lab::new(&Library { pictures, bytes: 100 << 10, limited: true, ..Library::default() }).await?;
    lab.configure("requests_per_5_minutes = 4000", "concurrency = 32")?;
    let _children = lab.workers(workers)?;
    let _producer = lab.program("producer", &["sync", "--full"])?.spawn()?;
    tokio::time::sleep(warm_up).await;
    let (calls, saves) = (lab.portal_calls().await?, lab.requests("bynder.save").await?);
    tokio::time::sleep(steady).await;
    let (calls, saves) = (lab.portal_calls().await? - calls, lab.requests("bynder.save").await? - saves);
    let stats = lab.stats().await?;
    let allowed = BUDGET * steady.as_secs_f64() / WINDOW;
    table.add(
        "portal calls, of those that the budget allows",
        format!("{calls} of {allowed:.0}: {:.1} %", 100.0 * calls as f64 / allowed),
    );
    table.add("refusals (429)", stats["refusals"].to_string());
    table.add("the busiest five minutes", format!("{} calls", stats["busiest_window"]));
    table.add("calls an asset", format!("{:.2}", calls as f64 / saves.max(1) as f64));
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
