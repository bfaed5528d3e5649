//! Compares the library with its markers: all of it by the listing, a part of it by the files.

mod check;
mod claim;

use budget::Budget;
use bynder::patience::Patience;
use bynder::{Bynder, DateField};
use common::asset::Asset;
use common::failure::Failure;
use futures::{StreamExt, TryStreamExt};
use jiff::Timestamp;
use ledger::Verification;
use producer::enumerate::{LAG, Stretch, Walk};
use producer::portal::Resolved;
use producer::run::RunError;
use rand::RngExt;

pub(crate) use check::Broken;
use check::{Checked, Checker};

/// What a verification covers and uses.
pub(crate) struct AuditContext<'a> {
    pub(crate) bynder: &'a Bynder,
    pub(crate) budget: &'a Budget,
    pub(crate) resolved: &'a Resolved,
    /// The fraction of files to hash, from 0 to 1.
    pub(crate) sample: f64,
    /// How many checks run at once.
    pub(crate) concurrency: usize,
}

/// Verifies, and passes each broken asset to `print` as it is found.
pub(crate) async fn verify(
    context: &AuditContext<'_>,
    patience: &Patience,
    print: impl Fn(&Broken),
) -> Result<Verification, Failure> {
    let mut sum = Verification { sample: context.sample, ..nothing() };
    let filter = &context.resolved.filter;
    let stretch = Stretch { field: DateField::Created, from: None, to: None };
    let mut walk = Walk::new(context.bynder.clone(), filter.push_down(), stretch, LAG, None);
    let checker =
        Checker { bynder: context.bynder, metaproperty: &context.resolved.fields.hash.name, patience };
    while let Some(step) = walk.next(patience).await.map_err(RunError::from)? {
        let assets = step.assets.iter().filter(|asset| filter.check(asset).is_ok());
        let checks = assets.map(|asset| {
            let with_file = rand::rng().random_bool(context.sample);
            let checker = &checker;
            async move { checker.check(asset, with_file).await.map(|checked| (asset, checked)) }
        });
        let mut results = futures::stream::iter(checks).buffer_unordered(context.concurrency);
        while let Some((asset, checked)) = results.try_next().await? {
            if let Checked::Broken(broken) = &checked {
                print(broken);
            }
            count(&mut sum, asset, &checked);
        }
        if patience.is_over() {
            return Err(Failure::Temporary("stopped; nothing was recorded".to_owned()));
        }
    }
    sum.at = Timestamp::now();
    sum.portal_requests = context.budget.used();
    Ok(sum)
}

fn count(sum: &mut Verification, asset: &Asset, checked: &Checked) {
    sum.listed += 1;
    match checked {
        Checked::Unprotected => sum.unprotected += 1,
        Checked::OptedOut => sum.opted_out += 1,
        Checked::OtherVersion => sum.other_version += 1,
        Checked::Held { hashed } => {
            sum.protected += 1;
            sum.held += 1;
            sum.hashed += u64::from(hashed.is_some());
            sum.bytes_downloaded += hashed.unwrap_or_default();
        }
        Checked::Broken(_) => {
            sum.protected += 1;
            sum.broken += 1;
        }
        Checked::Unchecked { reason } => {
            tracing::warn!(asset_id = %asset.id, reason, "the asset cannot be verified");
            sum.protected += 1;
            sum.unchecked += 1;
        }
        Checked::Gone => {}
    }
}

fn nothing() -> Verification {
    Verification {
        at: Timestamp::UNIX_EPOCH,
        listed: 0,
        protected: 0,
        held: 0,
        hashed: 0,
        broken: 0,
        unchecked: 0,
        other_version: 0,
        opted_out: 0,
        unprotected: 0,
        sample: 0.0,
        portal_requests: 0,
        bytes_downloaded: 0,
    }
}
