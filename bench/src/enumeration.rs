//! A full run over a protected library, and a delta run over its changes.

use std::time::Duration;

use crate::lab::{Lab, Library};
use crate::table::{Table, mebibytes, rate};
use crate::usage;

/// After this time, changes by people are in the sandbox's listing.
const LISTED: Duration = Duration::from_millis(500);

pub(crate) async fn measure(is_short: bool, assets: u64) -> anyhow::Result<Table> {
    let sizes: &[u64] = if is_short { &[5_000] } else { &[100_000, assets] };
    let changes = if is_short { 5 } else { 100 };
    let mut table = Table::new(
        "Going over a library",
        format!(
            "`connector sync --full` over protected assets, then `connector sync` after people uploaded a new version of \
             {changes} of them; no request limit. Each page overlaps the one before by a second, so there are a few more pages \
             than thousands of assets. The other call requests the metaproperties."
        ),
    );
    let mut delta = None;
    for size in sizes {
        let library = Library { pictures: changes, bytes: 20 << 10, archive: *size, ..Library::default() };
        let lab = Lab::new(&library).await?;
        // First protect the changes, so that the full run finds nothing to do.
        let first = lab.program("connector", &["sync", "--since", "2020-01-01"])?.spawn()?;
        usage::to_its_end(first, &[0]).await?;
        let before = lab.requests("bynder.list").await?;
        let all = lab.portal_calls().await?;
        let (took, usage) =
            usage::to_its_end(lab.program("connector", &["sync", "--full"])?.spawn()?, &[0]).await?;
        let listings = lab.requests("bynder.list").await? - before;
        let so_far = lab.portal_calls().await?;
        let others = so_far - all - listings;
        table.add(
            format!("{size} protected assets"),
            format!(
                "{listings} listings and {others} other calls, {:.0} assets/s, {:.0} s of processor time, at most {}",
                rate(*size, took),
                usage.cpu.as_secs_f64(),
                mebibytes(usage.peak)
            ),
        );
        let (pages, goal) = (
            size.div_ceil(1000),
            format!("{size} assets: a listing for a thousand, 3 % more at most, and one other call"),
        );
        table.promise(
            goal,
            format!("{listings}, and {others}"),
            listings * 100 <= pages * 103 && others <= 1,
        );
        let goal = format!("{size} assets: under 100 MiB");
        table.promise(goal, mebibytes(usage.peak), usage.peak < 100 << 20);
        if delta.is_none() {
            for picture in lab.pictures().await? {
                lab.new_version(&picture, None).await?;
            }
            tokio::time::sleep(LISTED).await;
            usage::to_its_end(lab.program("connector", &["sync"])?.spawn()?, &[0]).await?;
            lab.assert_protected(changes).await?;
            delta = Some(lab.portal_calls().await? - so_far);
        }
    }
    let calls = delta.unwrap_or_default();
    table.add(
        format!("a delta run with {changes} changes"),
        format!("{calls} portal calls in all, {:.2} an asset", calls as f64 / f64::from(changes)),
    );
    Ok(table)
}
