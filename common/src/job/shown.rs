//! A job as people may see it: a text in a file or a field may be a link with a signature. Pure.

use super::{Effects, Job, Parcel, Renewal, UploadText};
use crate::hash::FileFacts;
use crate::marker::Marker;
use crate::prose::prose;

impl Job {
    /// With each text of a file or of the portal by the filter for prose, except names, ids and the connector's own markers; without
    /// pictures and fields of later releases.
    #[must_use]
    pub fn shown(self) -> Self {
        Self {
            extension: self.extension.map(|extension| prose(&extension)),
            marker_text: marker(self.marker_text),
            effects: self.effects.shown(),
            unknown: serde_json::Map::new(),
            ..self
        }
    }
}

impl Effects {
    fn shown(self) -> Self {
        // Named one by one, so that the kind of a new field is decided here.
        let Self {
            original,
            media_id,
            request_ids,
            watermarked,
            unchecked,
            import_id,
            imported,
            awaited,
            saved,
            save_sent_at,
            marked,
            parcel,
            copy,
            renewal,
            quiet,
            placed,
        } = self;
        Self {
            original: facts(original),
            media_id,
            request_ids,
            watermarked: facts(watermarked),
            unchecked,
            import_id,
            imported,
            awaited,
            saved,
            save_sent_at,
            marked,
            parcel: parcel.and_then(Parcel::shown),
            copy,
            renewal: renewal.map(|renewal| Renewal { marker_text: marker(renewal.marker_text), ..renewal }),
            quiet,
            placed,
        }
    }
}

impl Parcel {
    /// `None` if what is shown of it would be too long.
    fn shown(self) -> Option<Self> {
        let text = |text: UploadText| UploadText::try_from(prose(text.as_str())).ok();
        Some(Self {
            upload_id: text(self.upload_id)?,
            target_id: text(self.target_id)?,
            s3_file_name: text(self.s3_file_name)?,
            parts: self.parts,
        })
    }
}

fn facts(facts: Option<FileFacts>) -> Option<FileFacts> {
    facts.map(|facts| FileFacts { content: facts.content.map(|content| Box::new(content.shown())), ..facts })
}

/// Any text but the connector's own marker may contain a secret.
fn marker(text: Option<String>) -> Option<String> {
    match Marker::parse(text.as_deref()) {
        Marker::Ours(_) => text,
        _ => text.map(|text| prose(&text)),
    }
}
