//! Throughput with services that do not slow anything down, compared with a bare loop and with a Python program that a user
//! might write.

use std::time::Duration;

use anyhow::Context;

use crate::lab::{Lab, Library};
use crate::table::{Table, milliseconds_each, rate};
use crate::ways::{AT_ONCE, Outcome, Way, by_python};

const BYTES: u64 = 100 << 10;
/// Not zero: a watermark that is finished at once is in the response to the submit, which is another code path.
const WATERMARK: Duration = Duration::from_millis(100);

pub(crate) async fn measure(is_short: bool) -> anyhow::Result<Table> {
    let (pictures, of_python, rounds) = if is_short { (30, 4, 1) } else { (1500, 1500, 3) };
    let how = format!(
        "{pictures} JPEGs of 800 × 600 pixels, padded to 100 KiB (the watermarked file is about half as long); services that \
         respond at once, a watermark after 100 ms, no request limit, `worker.concurrency = {AT_ONCE}`. The sandbox, the broker and \
         the program share the processors; the time of the other two is in brackets. The lease queues exist before the run, as in a \
         deployment that has run for a while; creating one takes 2 to 3 ms of the broker's time. Each figure is the median of \
         {rounds} interleaved runs, with the slowest and the fastest; the Python program ran once, over {of_python} pictures. \
         Requests are those per asset to both services, including storage."
    );
    let mut table = Table::new("Throughput with the limit off", how);
    let library = Library { pictures, bytes: BYTES, watermark_time: WATERMARK, ..Library::default() };
    let count = u64::from(pictures);
    let fleets = if is_short { &[Way::Fleet(1)][..] } else { &[1, 2, 4].map(Way::Fleet) };
    let ways = [&[Way::Bare, Way::Embedded], fleets].concat();
    let mut runs = vec![Vec::new(); ways.len()];
    for _ in 0..rounds {
        for (way, runs) in ways.iter().zip(&mut runs) {
            let outcome = way.run(&library).await?;
            // The whole takes a quarter of an hour.
            cli::output::talk(&format!("{}: {}", way.name(), figure(count, &outcome, "")));
            runs.push(outcome);
        }
    }
    let mut medians = Vec::new();
    for (way, runs) in ways.iter().zip(&mut runs) {
        runs.sort_by_key(|outcome| outcome.took);
        let (fastest, slowest) = (runs[0], runs[runs.len() - 1]);
        let median = runs[runs.len() / 2];
        let speeds = [slowest, fastest].map(|outcome| format!("{:.1}", rate(count, outcome.took)));
        describe(&mut table, &way.name(), count, &median, &format!(" ({} to {})", speeds[0], speeds[1]));
        medians.push(median);
    }
    let (bare, embedded, fleets) = (medians[0], medians[1], &medians[2..]);
    let best = fleets.iter().min_by_key(|outcome| outcome.took).context("no fleet")?;
    let share = |outcome: &Outcome| 100.0 * bare.took.as_secs_f64() / outcome.took.as_secs_f64();
    let percent = |outcome: &Outcome| format!("{:.0} %", share(outcome));
    table.add("embedded, compared to the bare loop", percent(&embedded));
    table.add("the fastest fleet, compared to the bare loop", percent(best));
    table.promise("embedded: 60 % of the bare loop", percent(&embedded), share(&embedded) >= 60.0);
    table.promise("the fastest fleet: 60 % of the bare loop", percent(best), share(best) >= 60.0);
    let Ok(python) = std::env::var("BENCH_PYTHON") else {
        return Ok(table);
    };
    let python = by_python(&Library { pictures: of_python, ..library }, &python).await?;
    describe(&mut table, "Python: bynder-sdk, Celery, RabbitMQ", u64::from(of_python), &python, "");
    let each = |outcome: &Outcome, count: u32| milliseconds_each(outcome.cpu, u64::from(count));
    for (name, outcome) in [("embedded", &embedded), ("one worker", &fleets[0])] {
        let times = each(&python, of_python) / each(outcome, pictures);
        let what = format!("assets for each second of processor time: {name}, beside Python");
        table.add(&what, format!("{times:.1} ×"));
        table.promise(format!("{what}: 20 ×"), format!("{times:.1} ×"), times >= 20.0);
    }
    Ok(table)
}

/// The same with photographs of a camera's size.
pub(crate) async fn measure_photographs(is_short: bool) -> anyhow::Result<Table> {
    let (pictures, width) = if is_short { (2, 1600) } else { (60, 5656) };
    let library = Library { pictures, width, watermark_time: WATERMARK, ..Library::default() };
    let bytes =
        Lab::new(&Library { pictures: 1, ..library.clone() }).await?.announcement["first_length"].clone();
    let how = format!(
        "{pictures} JPEGs of {:.0} megapixels and about {:.1} MiB; otherwise as above.",
        f64::from(width) * f64::from(width) * 0.75 / 1e6,
        bytes.as_f64().unwrap_or_default() / f64::from(1 << 20)
    );
    let mut table = Table::new("The same with photographs", how);
    for way in [Way::Bare, Way::Embedded, Way::Fleet(1)] {
        describe(&mut table, &way.name(), u64::from(pictures), &way.run(&library).await?, "");
    }
    Ok(table)
}

fn describe(table: &mut Table, name: &str, count: u64, outcome: &Outcome, range: &str) {
    table.add(name, figure(count, outcome, range));
}

fn figure(count: u64, outcome: &Outcome, range: &str) -> String {
    format!(
        "{:.1} assets/s{range}, {:.1} ms of processor time each (sandbox {:.1} ms, broker {:.1} ms), processors {:.0} % \
         busy, {:.1} requests each",
        rate(count, outcome.took),
        milliseconds_each(outcome.cpu, count),
        milliseconds_each(outcome.sandbox, count),
        milliseconds_each(outcome.broker, count),
        outcome.busy,
        outcome.requests as f64 / count as f64
    )
}
