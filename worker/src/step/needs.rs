//! What a step needs of its job, so that the compiler knows what exists. The message holds it as options, because each
//! step adds to it; a job that lacks something goes back to the step that provides it. A submit needs nothing but the
//! asset.

use bynder::{ImportId, Parcel};
use common::hash::FileFacts;
use common::job::{Job, Step};
use common::marker::Record;
use config::OutputMode;
use imatag::MediumId;

use super::StepEnd;

/// The original file and the watermarked one.
pub(super) struct Files {
    pub(super) original: FileFacts,
    pub(super) watermarked: FileFacts,
    base: u32,
}

impl Files {
    pub(super) fn of(job: &Job) -> Option<Self> {
        let effects = &job.effects;
        Some(Self::new(job.base, effects.original.clone()?, effects.watermarked.clone()?))
    }

    pub(super) fn new(base: u32, original: FileFacts, watermarked: FileFacts) -> Self {
        Self { original, watermarked, base }
    }

    /// The original's record: its own version and length.
    pub(super) fn on_original(&self) -> Record {
        Record { bytes: self.original.bytes, ..self.saved_as(self.base) }
    }

    /// The record of the version that holds the watermarked file.
    pub(super) fn saved_as(&self, version: u32) -> Record {
        let (original, watermarked) = (self.original.sha256, self.watermarked.sha256);
        Record { original, watermarked, version, bytes: self.watermarked.bytes }
    }
}

/// A job whose watermarked file is to be taken to Bynder.
pub(super) enum TransferJob {
    /// Imatag has the original.
    Submitted { original: FileFacts, medium: MediumId },
    /// Bynder has the watermarked file already.
    Uploaded(Files),
}

impl TransferJob {
    pub(super) fn of(job: &mut Job) -> Result<Self, StepEnd> {
        let effects = &job.effects;
        if (effects.import_id.is_some() || effects.parcel.is_some())
            && let Some(files) = Files::of(job)
        {
            return Ok(Self::Uploaded(files));
        }
        if let (Some(original), Some(medium)) = (&effects.original, &effects.media_id) {
            return Ok(Self::Submitted { original: original.clone(), medium: medium.clone() });
        }
        // A result that came at once, without an id, was paid for and is lost: only a search shows whether Imatag
        // has it.
        job.suspect_now();
        Err(StepEnd::Next(Step::Submit))
    }
}

/// A job whose watermarked file is to be saved.
pub(super) enum SaveJob {
    /// As a new version of the asset.
    Version { import: ImportId, files: Files },
    /// Bynder confirmed that version; it has this length.
    Saved { bytes: u64 },
    /// Into a copy of the asset.
    Copy { import: ImportId, files: Files },
    /// As an additional file of the asset.
    Additional { parcel: Parcel, files: Files },
}

impl SaveJob {
    pub(super) fn of(job: &Job, mode: OutputMode) -> Result<Self, StepEnd> {
        let effects = &job.effects;
        if mode == OutputMode::Version && effects.saved.is_some() {
            // Never saved again, whatever else the job lacks.
            return Ok(Self::Saved { bytes: effects.watermarked.as_ref().map_or(0, |file| file.bytes) });
        }
        let import = || effects.import_id.clone().ok_or(StepEnd::Next(Step::Transfer));
        let parcel = || effects.parcel.clone().ok_or(StepEnd::Next(Step::Transfer));
        let files = || Files::of(job).ok_or(StepEnd::Next(Step::Submit));
        Ok(match mode {
            OutputMode::Version => Self::Version { import: import()?, files: files()? },
            OutputMode::Copy => Self::Copy { import: import()?, files: files()? },
            OutputMode::Additional => Self::Additional { parcel: parcel()?, files: files()? },
        })
    }
}
