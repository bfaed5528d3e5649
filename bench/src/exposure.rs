//! How long new pictures and versions are in the library unprotected, as the portal's own times show it.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context, ensure};
use jiff::Timestamp;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;
use tokio::process::Child;
use tokio::time::{Instant, sleep};

use crate::lab::{Lab, Library};
use crate::table::Table;

/// The mean time between two changes by people.
const BETWEEN_CHANGES: Duration = Duration::from_secs(4);
/// Of this many pictures that are protected at the start, people change one at a time.
const EARLIER: u32 = 60;
/// The last change has to be protected after this time.
const PATIENCE: Duration = Duration::from_mins(5);

/// What keeps the library protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deployment {
    Serve,
    Fleet,
}

impl Deployment {
    fn start(self, lab: &Lab) -> anyhow::Result<Vec<Child>> {
        let mut processes = match self {
            Self::Serve => vec![],
            Self::Fleet => lab.workers(2)?,
        };
        let mut command = match self {
            Self::Serve => lab.program("connector", &["serve"])?,
            Self::Fleet => lab.program("producer", &["sync"])?,
        };
        // Permission for the first run; both are the examples' values.
        command.env("CONNECTOR_LIMITS__ASSETS_PER_RUN", "100000").env("CONNECTOR_PRODUCER__EVERY", "30s");
        processes.push(command.spawn()?);
        Ok(processes)
    }
}

impl Deployment {
    fn name(self) -> &'static str {
        match self {
            Self::Serve => "`connector serve`",
            Self::Fleet => "fleet",
        }
    }
}

/// What else there is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Load {
    Nothing,
    /// A first run publishes this many jobs of the backlog.
    Backlog(u32),
    /// People add this many pictures at once.
    Bulk(u32),
}

impl Load {
    fn name(self, deployment: Deployment) -> String {
        let name = deployment.name();
        match self {
            Self::Nothing => name.to_owned(),
            Self::Backlog(jobs) => format!("{name}, {jobs} jobs of a backlog"),
            Self::Bulk(pictures) => format!("{name}, after {pictures} pictures at once"),
        }
    }
}

fn minute(is_short: bool) -> Duration {
    if is_short { Duration::from_secs(3) } else { Duration::from_mins(1) }
}

pub(crate) async fn measure(is_short: bool) -> anyhow::Result<Table> {
    let how = format!(
        "People add a picture or upload a new version of one every {BETWEEN_CHANGES:?} on average, at random times, for {:?}. A \
         watermark takes 5 s, an import 10 s, the listing lags 2 s, and Bynder's limit applies. The configuration is the default, \
         with `every = \"30s\"`; the fleet is a producer and two workers; it and `connector serve` run at the same time, each with a \
         sandbox of its own. From the portal's time of the new version to its time of the protected one, both in whole seconds.",
        minute(is_short) * 8
    );
    let mut table = Table::new("How long new pictures are unprotected", how);
    let backlog = if is_short { 40 } else { 5000 };
    for load in [Load::Nothing, Load::Backlog(backlog)] {
        for found in both(&mut table, load, minute(is_short)).await? {
            let Found { what, median, high, .. } = found;
            table.promise(format!("{what}: median at most 40 s"), format!("{median} s"), median <= 40);
            table.promise(format!("{what}: 95th percentile at most 65 s"), format!("{high} s"), high <= 65);
        }
    }
    Ok(table)
}

pub(crate) async fn measure_bulk(is_short: bool) -> anyhow::Result<Table> {
    let load = Load::Bulk(if is_short { 100 } else { 10_000 });
    let how = "As above, but people first add many pictures at once: how long are those unprotected that come after them?";
    let mut table = Table::new("New pictures after a bulk change", how);
    for Found { what, most, .. } in both(&mut table, load, minute(is_short)).await? {
        // A run begins after 30 s at most, and a picture's own way takes 20 s.
        let what = format!("{what}: none waits more than a minute");
        table.promise(what, format!("at most {most} s in all"), most <= 110);
    }
    Ok(table)
}

/// Exposures in seconds.
struct Found {
    what: String,
    median: i64,
    high: i64,
    most: i64,
    rows: Vec<(String, String)>,
}

async fn both(table: &mut Table, load: Load, minute: Duration) -> anyhow::Result<[Found; 2]> {
    let (serve, fleet) =
        tokio::try_join!(one(Deployment::Serve, load, minute), one(Deployment::Fleet, load, minute))?;
    for (what, figure) in serve.rows.iter().chain(&fleet.rows) {
        table.add(what, figure);
    }
    Ok([serve, fleet])
}

async fn one(deployment: Deployment, load: Load, minute: Duration) -> anyhow::Result<Found> {
    let (what, mut rows) = (load.name(deployment), Vec::new());
    let library = Library {
        pictures: match load {
            Load::Nothing | Load::Bulk(_) => EARLIER,
            Load::Backlog(jobs) => jobs,
        },
        width: 200,
        watermark_time: Duration::from_secs(5),
        import_time: Duration::from_secs(10),
        index_lag: Duration::from_secs(2),
        limited: true,
        ..Library::default()
    };
    let lab = Lab::new(&library).await?;
    lab.configure_with_default_waits("requests_per_5_minutes = 4000\n", "")?;
    let processes = deployment.start(&lab)?;
    let first = u64::from(EARLIER.min(library.pictures));
    until(PATIENCE, async || Ok(lab.requests("bynder.save").await? >= first))
        .await
        .context("the first pictures are not protected")?;
    match load {
        Load::Nothing => {
            // What was saved last comes back in the listing.
            sleep(minute).await;
            let (before, quiet) = (lab.portal_calls().await?, minute * 2);
            sleep(quiet).await;
            let calls = lab.portal_calls().await? - before;
            rows.push((format!("{what}: calls in {quiet:?} without a change"), calls.to_string()));
        }
        Load::Backlog(_) => {}
        Load::Bulk(pictures) => {
            for number in 0..pictures {
                lab.add_picture(&format!("bulk {number}.jpg")).await?;
            }
            sleep(minute).await;
        }
    }
    let (calls, saves) = (lab.portal_calls().await?, lab.requests("bynder.save").await?);
    let changed = people(&lab, minute * 8).await?;
    let mut exposed = Vec::new();
    until(PATIENCE, async || {
        exposed = exposures(&lab.audited().await?, &changed)?;
        Ok(exposed.len() == changed.len())
    })
    .await
    .context("the changes are not protected")?;
    let saves = lab.requests("bynder.save").await? - saves;
    let calls = (lab.portal_calls().await? - calls) as f64 / saves as f64;
    let (protected, violations) = lab.audit().await?;
    ensure!(violations.is_empty(), "the audit is not clean: {violations:?}");
    drop(processes);
    exposed.sort_unstable();
    let at = |hundredths: usize| exposed[(exposed.len() - 1) * hundredths / 100];
    let (median, high, most) = (at(50), at(95), at(100));
    let figure = format!(
        "median {median} s, 95th percentile {high} s, at most {most} s, of {} changes; {calls:.2} calls a save, \
         {saves} saves; {protected} assets protected at the end",
        changed.len()
    );
    rows.push((what.clone(), figure));
    Ok(Found { what, median, high, most, rows })
}

/// People at work; returns the assets that they added or changed, each once, with the number of their version.
async fn people(lab: &Lab, long: Duration) -> anyhow::Result<HashMap<String, u64>> {
    let mut random = StdRng::seed_from_u64(1);
    let mut earlier = protected(&lab.audited().await?);
    let (until, mut changed) = (Instant::now() + long, HashMap::new());
    loop {
        let pause = BETWEEN_CHANGES.mul_f64(-random.random::<f64>().max(1e-3).ln());
        if Instant::now() + pause >= until {
            return Ok(changed);
        }
        sleep(pause).await;
        let adds = random.random_bool(0.5);
        if let Some((id, version)) = if adds { None } else { earlier.pop() } {
            lab.new_version(&id, None).await?;
            changed.insert(id, version + 1);
        } else {
            changed.insert(lab.add_picture(&format!("new {}.jpg", changed.len())).await?, 1);
        }
    }
}

/// The protected assets, with their highest version.
fn protected(audit: &Value) -> Vec<(String, u64)> {
    let assets = audit["assets"].as_array().into_iter().flatten();
    assets
        .filter(|asset| asset["protected"] == true)
        .filter_map(|asset| {
            let top = asset["versions"].as_array()?.last()?["number"].as_u64()?;
            Some((asset["id"].as_str()?.to_owned(), top))
        })
        .collect()
}

/// For each changed version that is protected, how long it was not, in seconds.
fn exposures(audit: &Value, changed: &HashMap<String, u64>) -> anyhow::Result<Vec<i64>> {
    let mut exposed = Vec::new();
    for asset in audit["assets"].as_array().into_iter().flatten() {
        let id = asset["id"].as_str().context("an asset without an id")?;
        let Some(number) = changed.get(id) else { continue };
        let made = |number: u64| -> anyhow::Result<Option<Timestamp>> {
            let versions = asset["versions"].as_array().context("no versions")?;
            let version = versions.iter().find(|version| version["number"] == number);
            Ok(version.and_then(|version| version["made"].as_str()).map(str::parse).transpose()?)
        };
        let added = made(*number)?.context("a change without its version")?;
        if let Some(protected) = made(number + 1)? {
            exposed.push(protected.as_second() - added.as_second());
        }
    }
    Ok(exposed)
}

async fn until(
    patience: Duration,
    mut done: impl AsyncFnMut() -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    let deadline = Instant::now() + patience;
    while !done().await? {
        ensure!(Instant::now() < deadline, "not within {patience:?}");
        sleep(Duration::from_millis(500)).await;
    }
    Ok(())
}
