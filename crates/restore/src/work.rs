//! The effects on one asset, ordered so that each may be the last: upload, record, marker, save, record.

use std::time::Instant;

use bynder::patience::patiently;
use bynder::{Bynder, BynderError, ImportId, ImportState, Saved};
use common::asset::{AssetDetail, MOST_CANDIDATES};
use common::file_name::{FileName, Known};
use common::marker::{Record, Status};
use decide::{LONGEST_CONVERSION, UnshownMarker, unshown_marker};
use files::spool::{Length, SpooledFile};
use ledger::{Restoration, RestorationProgress};
use queue::{Lease, Left, Lockout};

use super::decision::{AssetResult, Skip, is_untouched, landed, originals, restored_since};
use super::error::RestoreError;
use super::{RestoreContext, Target};

/// Saves without an answer before the rest is left to the next call.
const MOST_SAVES: u32 = 3;

/// Restores an asset whose active version is the protected file, while workers leave it alone.
pub(super) struct Restorer<'a> {
    pub(super) context: &'a RestoreContext,
    pub(super) target: &'a Target,
    /// What an interrupted call recorded as begun.
    pub(super) begun: Option<Restoration>,
}

impl Restorer<'_> {
    /// Restores the recorded original.
    pub(super) async fn restore(
        mut self,
        detail: &AssetDetail,
        record: Record,
    ) -> Result<AssetResult, RestoreError> {
        let context = self.context;
        let before = self.begun.take();
        // A record written ahead of a save may name a person's version of the same length; the hash shows which.
        let active = context.hash(&self.target.id, record.version).await?;
        if active == record.original && active != record.watermarked {
            return Ok(AssetResult::Skipped(Skip::OriginalInPlace));
        }
        if active != record.watermarked {
            return context.left(before, Skip::NewerVersion).await;
        }
        let Some(Original { number, file, name }) = self.original(detail, record).await? else {
            return Ok(AssetResult::Skipped(Skip::OriginalLost));
        };
        let import = self.import(&name, &file).await?;
        let begun = context.begin(detail, record, detail.top().unwrap_or(record.version));
        let begun = Restoration {
            original_version: Some(number),
            original_bytes: file.bytes(),
            // An interrupted call may have written the current opt-out.
            opted_out_before: begun.opted_out_before && before.is_none_or(|before| before.opted_out_before),
            ..begun
        };
        drop(file);
        context.ledger.note_restoration(&begun).await?;
        self.save(begun, &import).await
    }

    /// Downloads the recorded original from the version history, where its hash identifies it.
    async fn original(&self, detail: &AssetDetail, record: Record) -> Result<Option<Original>, RestoreError> {
        let context = self.context;
        let candidates = originals(detail, record, self.target.base);
        for number in candidates.iter().copied().take(MOST_CANDIDATES) {
            let download =
                patiently(&context.patience, || context.bynder.download(&self.target.id, number, None)).await;
            let download = match download {
                Err(BynderError::NotFound { .. }) => continue,
                answer => answer?,
            };
            let sent_name = download.file_name;
            let known = detail.version(number).and_then(|version| version.bytes);
            let length = Length::announced(download.bytes).or_expected(known);
            let received = context.spool.receive(download.body, length, None).await;
            let file = received.map_err(RestoreError::receiving)?;
            if file.sha256() == record.original {
                let name = name_of(detail, number, sent_name)?;
                return Ok(Some(Original { number, file, name }));
            }
        }
        if candidates.len() > MOST_CANDIDATES {
            return Err(RestoreError::too_many_versions(&self.target.id, candidates.len()));
        }
        Ok(None)
    }

    /// Uploads the original and waits until Bynder has converted it. The asset does not change.
    async fn import(&self, name: &FileName, file: &SpooledFile) -> Result<ImportId, RestoreError> {
        let context = self.context;
        context.locks.contact()?;
        let import =
            patiently(&context.patience, || context.bynder.upload(&self.target.id, file, name)).await?;
        let started = Instant::now();
        loop {
            match patiently(&context.patience, || context.bynder.poll_import(&import)).await? {
                ImportState::Done => return Ok(import),
                ImportState::Pending if started.elapsed() < LONGEST_CONVERSION => self.pause().await,
                ImportState::Pending => return Err(self.unconfirmed("was not converted within 30 minutes")),
                ImportState::Failed => return Err(self.unconfirmed("could not be converted")),
                ImportState::Rejected => return Err(self.unconfirmed("was rejected")),
            }
        }
    }

    fn unconfirmed(&self, what: &str) -> RestoreError {
        let id = &self.target.id;
        RestoreError::Asset(format!(
            "the original of asset {id} {what} by Bynder; run the command again, which checks first"
        ))
    }

    async fn pause(&self) {
        tokio::time::sleep(self.context.pause).await;
    }

    /// Writes the opt-out, checks the asset again, saves, and confirms the result.
    async fn save(&self, begun: Restoration, import: &ImportId) -> Result<AssetResult, RestoreError> {
        let Some(lease) = self.context.lease(&self.target.id).await? else {
            return Ok(AssetResult::Skipped(Skip::Busy));
        };
        let ended = self.save_under(&lease, begun, import).await;
        // A request without a seen end may still take effect.
        lease.end(match ended {
            Ok(_) => Left::AsFound,
            Err(_) => Left::Lockout(Lockout::from_all(self.context.suspect_wait)),
        });
        ended
    }

    async fn save_under(
        &self,
        lease: &Lease,
        begun: Restoration,
        import: &ImportId,
    ) -> Result<AssetResult, RestoreError> {
        let context = self.context;
        for _ in 0..MOST_SAVES {
            let bynder = match self.ready(&begun).await? {
                Ok(bynder) => bynder,
                Err(skip) => return Ok(AssetResult::Skipped(skip)),
            };
            lease.check()?;
            let bynder = bynder.under(lease.permission());
            match bynder.save_version(&self.target.id, import).await {
                Ok(Saved::Done(())) => {
                    self.shown(&begun).await?;
                    return Ok(AssetResult::Restored);
                }
                Ok(Saved::NotConverted) => self.pause().await,
                Err(BynderError::Paused { remaining }) => {
                    context.patience.wait(remaining).await;
                }
                // The save may still take effect: repeat nothing before that is over.
                Err(error) if error.may_have_been_sent() => {
                    tracing::warn!(asset_id = %self.target.id, %error, "whether it was saved is not known; checking");
                    tokio::time::sleep(context.suspect_wait).await;
                    if self.confirmed(&begun).await? {
                        return Ok(AssetResult::Restored);
                    }
                }
                Err(error) if error.is_retryable() => self.pause().await,
                Err(error) => {
                    context.withdraw(begun, &error.to_string()).await?;
                    return Err(error.into());
                }
            }
        }
        Err(self.unconfirmed("is not shown as a version"))
    }

    /// Waits until the marker has the opt-out; returns the client to save with, or why to leave the asset to a person.
    async fn ready(&self, begun: &Restoration) -> Result<Result<Bynder, Skip>, RestoreError> {
        let (context, asset) = (self.context, &self.target.id);
        for checks in 0.. {
            // Reserves both calls of the budget, so that the check does not go stale while the save waits for its own.
            let bynder = patiently(&context.patience, || context.bynder.reserve_calls(2)).await?;
            let Some(detail) = context.read(&bynder, asset).await? else {
                return Ok(Err(Skip::Gone));
            };
            let marker = context.marker(&detail);
            if !is_untouched(begun, &detail, &marker) {
                context.withdraw(begun.clone(), "a person worked on it meanwhile").await?;
                return Ok(Err(Skip::NewerVersion));
            }
            if marker.opted_out() {
                return Ok(Ok(bynder));
            }
            match unshown_marker(checks) {
                UnshownMarker::GiveUp => break,
                UnshownMarker::Wait => {}
                UnshownMarker::WriteAgain => {
                    let records = marker.into_records().unwrap_or_default();
                    context.mark(asset, &records.with_opt_out(true), Status::OptedOut).await?;
                }
            }
            self.pause().await;
        }
        let reason = "Bynder accepts the opt-out for its hash metaproperty and does not keep it";
        context.withdraw(begun.clone(), reason).await?;
        Err(RestoreError::Asset(format!("asset {asset}: {reason}; nothing was saved")))
    }

    /// Waits until the version shows that Bynder says it saved. One that does not may wait for a person's approval;
    /// saving it again would only add another.
    async fn shown(&self, begun: &Restoration) -> Result<(), RestoreError> {
        self.context.note(begun.clone(), RestorationProgress::Saved).await?;
        let saved = Instant::now();
        while !self.confirmed(begun).await? {
            if saved.elapsed() >= self.context.longest_unseen {
                return Err(RestoreError::waiting(&self.target.id));
            }
            self.pause().await;
        }
        Ok(())
    }

    /// Whether a version made since then holds the original; if so, records it.
    async fn confirmed(&self, begun: &Restoration) -> Result<bool, RestoreError> {
        let context = self.context;
        let Some(detail) = context.read(&context.bynder, &self.target.id).await? else {
            return Err(self.unconfirmed("was saved, and the asset then deleted,"));
        };
        // It is the first of them, unless a person saved in the same moment.
        for version in restored_since(begun, &detail).into_iter().take(MOST_CANDIDATES) {
            if context.hash(&self.target.id, version).await? == begun.record.original {
                context.note(begun.clone(), landed(begun, version)).await?;
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// The recorded original, downloaded from the version history.
struct Original {
    number: u32,
    file: SpooledFile,
    name: FileName,
}

/// The original's own file name. The portal's extension is the active version's, so it is only a fallback.
fn name_of(detail: &AssetDetail, number: u32, sent: Option<String>) -> Result<FileName, RestoreError> {
    let asset = &detail.asset;
    let own = detail.version(number).and_then(|version| version.file_name.clone()).or(sent);
    let known = Known { own: own.as_deref(), asset_name: &asset.name, ..Known::default() };
    let extension = asset.extensions.first().map(String::as_str);
    FileName::of(known).or_else(|| FileName::of(Known { extension, ..known })).ok_or_else(|| {
        RestoreError::Asset(format!(
            "Bynder shows neither a file name nor an extension for version {number} of asset {}, and a guessed one would \
             change the asset's type; restore that version in Bynder itself",
            asset.id
        ))
    })
}
