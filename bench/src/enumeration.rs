//! Going over a protected library, and over what changed in it.

use crate::lab::{Lab, Library};
use crate::table::{Table, mebibytes, rate};
use crate::usage;

pub(crate) async fn measure(is_short: bool) -> anyhow::Result<Table> {
    let sizes: &[u64] = if is_short { &[5_000] } else { &[100_000, 1_000_000] };
    let changes = if is_short { 5 } else { 100 };
    let mut table = Table::new(
        "Going over a library",
        format!(
            "`connector sync --full` over protected assets, then a delta run after {changes} assets came; no request limit."
        ),
    );
    for size in sizes {
        let library = Library { pictures: changes, bytes: 20 << 10, archive: *size, ..Library::default() };
        let lab = Lab::new(&library).await?;
        // The changes first, so that the run over everything finds nothing to do.
        let first = lab.program("connector", &["sync", "--since", "2020-01-01"])?.spawn()?;
        usage::to_its_end(first, &[0]).await?;
        let before = lab.requests("bynder.list").await?;
        let all = lab.portal_calls().await?;
        let (took, usage) =
            usage::to_its_end(lab.program("connector", &["sync", "--full"])?.spawn()?, &[0]).await?;
        let listings = lab.requests("bynder.list").await? - before;
        let others = lab.portal_calls().await? - all - listings;
        table.add(
            format!("{size} protected assets"),
            format!(
                "{listings} listings and {others} other calls, {:.0} assets/s, {:.0} s of processor time, at most {}",
                rate(*size, took),
                usage.cpu.as_secs_f64(),
                mebibytes(usage.peak)
            ),
        );
    }
    let lab =
        Lab::new(&Library { pictures: changes, bytes: 20 << 10, archive: sizes[0], ..Library::default() })
            .await?;
    let all = lab.portal_calls().await?;
    let delta = lab.program("connector", &["sync", "--since", "2020-01-01"])?.spawn()?;
    usage::to_its_end(delta, &[0]).await?;
    lab.assert_protected(changes).await?;
    let calls = lab.portal_calls().await? - all;
    table.add(
        format!("a delta run with {changes} changes"),
        format!("{calls} portal calls in all, {:.2} an asset", calls as f64 / f64::from(changes)),
    );
    Ok(table)
}
