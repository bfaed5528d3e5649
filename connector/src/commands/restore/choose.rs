//! Selects the assets: by run, by id, or by filter.

use bynder::patience::Patience;
use bynder::{Bynder, DateField};
use common::asset::AssetId;
use common::failure::Failure;
use common::job::RunId;
use common::marker::Marker;
use ledger::Ledger;
use producer::enumerate::{LAG, Stretch, Walk};
use producer::portal::Resolved;
use producer::run::RunError;
use restore::Target;

/// The assets that a run protected; only the files that it made are to be removed.
pub(super) async fn of_run(ledger: &Ledger, run: &RunId) -> Result<Vec<Target>, Failure> {
    let events = ledger.protected_by(run).await?;
    if events.is_empty() {
        return Err(Failure::Usage(format!(
            "there is no record of a run {run} that protected anything; `connector status` names the latest runs"
        )));
    }
    let target = |event: common::outcome::OutcomeEvent| Target {
        id: event.asset_id,
        watermarked: event.watermarked,
        base: Some(event.base),
        elsewhere: event.placed.is_some(),
    };
    Ok(events.into_iter().map(target).collect())
}

/// These assets, whichever run protected them.
pub(super) fn of_ids(ids: &[AssetId]) -> Vec<Target> {
    let target = |id: &AssetId| Target { id: id.clone(), watermarked: None, base: None, elsewhere: false };
    ids.iter().map(target).collect()
}

/// Every asset that matches the filters and whose marker has a record.
pub(super) async fn of_filter(
    bynder: &Bynder,
    resolved: &Resolved,
    patience: &Patience,
) -> Result<Vec<Target>, Failure> {
    let stretch = Stretch { field: DateField::Created, from: None, to: None };
    let mut walk = Walk::new(bynder.clone(), resolved.filter.push_down(), stretch, LAG, None);
    let mut targets = Vec::new();
    while let Some(step) = walk.next(patience).await.map_err(RunError::from)? {
        let meant = step.assets.into_iter().filter(|asset| {
            resolved.filter.check(asset).is_ok()
                && matches!(resolved.fields.marker(asset), Marker::Ours(records) if records.iter().next().is_some())
        });
        targets.extend(meant.map(|asset| Target {
            id: asset.id,
            watermarked: None,
            base: None,
            elsewhere: false,
        }));
    }
    Ok(targets)
}
