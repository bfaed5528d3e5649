//! Decides whether one asset gets a job, and requests whatever its row leaves open.

use std::collections::HashMap;

use common::asset::{Asset, AssetId};
use common::job::Lane;
use jiff::Timestamp;
use ledger::Known;

use super::{Cause, Environment, Fate, Run, RunError};
use crate::select::{Decision, SkipReason, decide, unlisted};

/// The maximum number of assets that the log names as requested but unusable.
const MOST_TOLD: u64 = 10;

impl Run<'_> {
    /// Decides about an asset. An error that concerns only this asset skips it, with a count and a log line, and
    /// does not end the run.
    pub(super) async fn consider(
        &mut self,
        asset: &Asset,
        lane: Lane,
        cause: Cause,
    ) -> Result<Fate, RunError> {
        match self.decide(asset, lane, cause).await {
            Err(error) if error.is_of_one_asset() => {
                tracing::error!(asset_id = %asset.id, %error, "the asset is left alone");
                self.skip(SkipReason::Unreadable);
                Ok(Fate::Left(SkipReason::Unreadable))
            }
            decided => decided,
        }
    }

    /// Counts an asset whose type is not sent, and logs it if a person requested this very asset.
    fn leave_unsupported(&mut self, asset: &Asset, cause: Cause) {
        let count = self.found.leave_unsupported(asset);
        if cause == Cause::Again
            && count <= MOST_TOLD
            && let Some(media_type) = unlisted(asset, &self.environment.sent)
        {
            let (name, extension) = (asset.shown_name(), asset.shown_extension());
            tracing::warn!(
                asset_id = %asset.id, name,
                "an asset that was asked for is left alone: by its extension {extension} it is {media_type}, which the \
                 connector's profile does not list (limits.content_types)"
            );
        }
    }

    /// Decides about an asset of a page by what the ledger knew when the page came. Only a skip is final by that: until a job is
    /// published, another run may publish one.
    pub(super) async fn consider_row(
        &mut self,
        asset: &Asset,
        lane: Lane,
        cause: Cause,
        known: Known,
    ) -> Result<Fate, RunError> {
        self.named.saw(&asset.id);
        match self.row_decision(asset, lane, cause, known) {
            Decision::Skip(reason) => self.leave(asset, reason, cause, known).await,
            _ => self.consider(asset, lane, cause).await,
        }
    }

    /// What the row and the ledger alone say.
    pub(super) fn row_decision(&self, asset: &Asset, lane: Lane, cause: Cause, known: Known) -> Decision {
        let known = if cause == Cause::Again { Known { failed_version: None, ..known } } else { known };
        let Environment { filter, sent, metaproperty, listing_settles_in, .. } = self.environment;
        let settled = Timestamp::now() - *listing_settles_in;
        decide(asset, &asset.marker(metaproperty), filter, sent, known, lane, settled)
    }

    /// What the ledger knows of the assets of a page.
    pub(super) async fn known_of(&self, page: &[Asset]) -> Result<HashMap<AssetId, Known>, RunError> {
        Ok(self.environment.ledger.known_of_all(page.iter().map(|asset| asset.id.clone())).await?)
    }

    async fn decide(&mut self, asset: &Asset, lane: Lane, cause: Cause) -> Result<Fate, RunError> {
        self.named.saw(&asset.id);
        let known = self.environment.ledger.known(&asset.id).await?;
        let mut asked = None;
        let mut decision = self.row_decision(asset, lane, cause, known);
        if decision == Decision::AskVersion {
            asked = self.with_version(asset).await?;
            let Some(asked) = &asked else { return Ok(Fate::Gone) };
            decision = self.row_decision(asked, lane, cause, known);
        }
        decision = match (decision, asked.as_ref().unwrap_or(asset).active_version) {
            (Decision::AskOriginal(original), Some(base)) => {
                let copy = self.is_copied_to(&original, &asset.id).await?;
                if copy { Decision::Skip(SkipReason::Copy) } else { Decision::Publish { base } }
            }
            (Decision::AskCopy(copy), Some(base)) => {
                let shows = self.shows(&copy).await?;
                if shows { Decision::Publish { base } } else { Decision::Skip(SkipReason::AwaitingApproval) }
            }
            (Decision::AskAdditional(file), Some(base)) => {
                let shows = self.has_additional(&asset.id, file).await?;
                if shows { Decision::Publish { base } } else { Decision::Skip(SkipReason::AwaitingApproval) }
            }
            (decision, _) => decision,
        };
        match decision {
            Decision::Skip(reason) => self.leave(asset, reason, cause, known).await,
            Decision::Publish { .. } if cause == Cause::Unasked => {
                self.found.hold(asset);
                self.skip(SkipReason::NotAskedFor);
                Ok(Fate::Left(SkipReason::NotAskedFor))
            }
            Decision::Publish { base } => {
                // It is unknown what a lost job did, or how far the failed one got.
                let suspect = known.lost.is_some() || known.failed_version == Some(base);
                self.publish(asset, base, lane, cause, suspect).await
            }
            // A portal that shows no version even for a single asset: no save is safe.
            Decision::AskVersion
            | Decision::AskOriginal(_)
            | Decision::AskCopy(_)
            | Decision::AskAdditional(_) => {
                self.skip(SkipReason::VersionUnknown);
                tracing::error!(asset_id = %asset.id, "Bynder does not show the asset's version; the asset is skipped");
                Ok(Fate::Left(SkipReason::VersionUnknown))
            }
        }
    }

    /// Counts an asset that gets no job.
    pub(super) async fn leave(
        &mut self,
        asset: &Asset,
        reason: SkipReason,
        cause: Cause,
        known: Known,
    ) -> Result<Fate, RunError> {
        let approved = asset.active_version.filter(|active| {
            reason == SkipReason::Unchanged && known.awaiting.is_some_and(|awaiting| awaiting.over < *active)
        });
        if let Some(version) = approved.filter(|_| !self.options.dry_run) {
            self.environment.ledger.note_approved(&asset.id, version, Timestamp::now()).await?;
        }
        if reason == SkipReason::Unsupported {
            self.leave_unsupported(asset, cause);
        }
        self.skip(reason);
        Ok(Fate::Left(reason))
    }
}
