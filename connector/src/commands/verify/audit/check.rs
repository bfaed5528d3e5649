//! Compares one asset with its marker.

use bynder::patience::{Patience, patiently};
use bynder::{Bynder, BynderError};
use common::asset::{Asset, AssetDetail};
use common::marker::{Kin, Record};
use serde::Serialize;

use super::claim::Claim;

/// The result for one asset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Checked {
    /// It has no record.
    Unprotected,
    /// A person opted it out.
    OptedOut,
    /// The active version is not a recorded one.
    OtherVersion,
    /// It matches its marker; with the number of bytes hashed, if its file was.
    Held { hashed: Option<u64> },
    /// It does not match its marker.
    Broken(Broken),
    /// Its file could not be downloaded.
    Unchecked { reason: String },
    /// It was deleted meanwhile.
    Gone,
}

/// A protected asset that does not match its marker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Broken {
    pub(crate) asset_id: String,
    pub(crate) asset_name: String,
    pub(crate) version: u32,
    /// `other_size`, `other_file`, `no_file`, `no_copy` or `no_additional_file`.
    pub(crate) finding: &'static str,
    /// What the marker says.
    pub(crate) expected: String,
    /// What was found instead.
    pub(crate) found: String,
}

pub(super) struct Checker<'a> {
    pub(super) bynder: &'a Bynder,
    pub(super) metaproperty: &'a str,
    pub(super) patience: &'a Patience,
}

impl Checker<'_> {
    /// Checks an asset by its row and, with `with_file`, by its file. The listing lags, so a mismatch in it is checked
    /// by a GET first.
    pub(super) async fn check(&self, asset: &Asset, with_file: bool) -> Result<Checked, BynderError> {
        let mut claim = Claim::of_row(asset, &asset.marker(self.metaproperty));
        if matches!(claim, Claim::OtherSize(..) | Claim::Unknown) {
            match self.read_asset(asset).await? {
                None => return Ok(Checked::Gone),
                Some(detail) => claim = self.claim(&detail),
            }
        }
        match claim {
            Claim::Fits(record) if with_file => self.check_file(asset, record).await,
            claim => Ok(by_claim(asset, claim)),
        }
    }

    async fn check_file(&self, asset: &Asset, record: Record) -> Result<Checked, BynderError> {
        let hashed = patiently(self.patience, || self.bynder.hash_version(&asset.id, record.version)).await;
        let (finding, found) = match hashed {
            Ok((hash, bytes)) if hash == record.watermarked => {
                return Ok(Checked::Held { hashed: Some(bytes) });
            }
            // The original is in its old place, so its watermarked file must be stored elsewhere.
            Ok((hash, bytes)) if hash == record.original => match self.elsewhere(asset, record).await? {
                None => return Ok(Checked::Held { hashed: Some(bytes) }),
                Some(missing) => missing,
            },
            Ok((hash, _)) => ("other_file", hash.to_string()),
            Err(BynderError::NotFound { message, .. }) => ("no_file", message),
            Err(error @ (BynderError::Forbidden { .. } | BynderError::Refused { .. })) => {
                return Ok(Checked::Unchecked { reason: error.to_string() });
            }
            Err(error) => return Err(error),
        };
        // A person may have changed the asset since it was listed.
        let Some(detail) = self.read_asset(asset).await? else { return Ok(Checked::Gone) };
        let claim = self.claim(&detail);
        if claim != Claim::Fits(record) {
            return Ok(by_claim(asset, claim));
        }
        Ok(Checked::Broken(broken(asset, record, finding, record.watermarked.to_string(), found)))
    }

    /// What is wrong with the copy or additional file that protects this original; `None` if it is correct. An
    /// additional file is identified by its name alone.
    async fn elsewhere(
        &self,
        asset: &Asset,
        record: Record,
    ) -> Result<Option<(&'static str, String)>, BynderError> {
        let template = match patiently(self.patience, || self.bynder.template(&asset.id)).await {
            Err(BynderError::NotFound { message, .. }) => return Ok(Some(("no_file", message))),
            answer => answer?,
        };
        let digits = record.watermarked.short();
        if template.additional.iter().any(|name| name.contains(&digits)) {
            return Ok(None);
        }
        let marker = template.detail.asset.marker(self.metaproperty);
        let Some(Kin::CopiedTo(copy)) = marker.kin() else {
            return Ok(Some(("no_additional_file", format!("none with {digits} in its name"))));
        };
        let detail = match patiently(self.patience, || self.bynder.asset(copy)).await {
            Err(BynderError::NotFound { message, .. }) => return Ok(Some(("no_copy", message))),
            answer => answer?,
        };
        let Some(active) = detail.active() else {
            return Ok(Some(("no_copy", format!("Bynder does not show the active version of {copy}"))));
        };
        let hashed = patiently(self.patience, || self.bynder.hash_version(copy, active)).await;
        match hashed {
            Ok((hash, _)) if hash == record.watermarked => Ok(None),
            Ok((hash, _)) => Ok(Some(("no_copy", format!("{hash} in the copy {copy}")))),
            Err(BynderError::NotFound { message, .. }) => Ok(Some(("no_copy", message))),
            Err(error) => Err(error),
        }
    }

    async fn read_asset(&self, asset: &Asset) -> Result<Option<AssetDetail>, BynderError> {
        match patiently(self.patience, || self.bynder.asset(&asset.id)).await {
            Err(BynderError::NotFound { .. }) => Ok(None),
            answer => answer.map(Some),
        }
    }

    fn claim(&self, detail: &AssetDetail) -> Claim {
        Claim::of_asset(detail, &detail.asset.marker(self.metaproperty))
    }
}

/// The result of the claim alone.
fn by_claim(asset: &Asset, claim: Claim) -> Checked {
    match claim {
        Claim::Nothing => Checked::Unprotected,
        Claim::OptedOut => Checked::OptedOut,
        Claim::OtherVersion => Checked::OtherVersion,
        Claim::Fits(_) => Checked::Held { hashed: None },
        Claim::OtherSize(record, bytes) => {
            let (expected, found) = (format!("{} bytes", record.bytes), format!("{bytes} bytes"));
            Checked::Broken(broken(asset, record, "other_size", expected, found))
        }
        Claim::Unknown => {
            let reason = "Bynder does not show its active version or that version's length".to_owned();
            Checked::Unchecked { reason }
        }
    }
}

fn broken(asset: &Asset, record: Record, finding: &'static str, expected: String, found: String) -> Broken {
    Broken {
        asset_id: asset.id.to_string(),
        asset_name: asset.shown_name(),
        version: record.version,
        finding,
        expected,
        found,
    }
}
