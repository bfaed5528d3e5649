//! A job as people may see it: a text in a file or a field may be a link with a signature. Pure.

use super::{Effects, Job, Renewal};
use crate::hash::FileFacts;
use crate::marker::Marker;
use crate::prose::prose;

impl Job {
    /// With each text of a file or of the portal's fields by the filter for prose, except names and the connector's own markers;
    /// without fields of later releases.
    #[must_use]
    pub fn shown(self) -> Self {
        let filtered = |text: Option<String>| text.map(|text| prose(&text));
        let marker = |text: Option<String>| match Marker::parse(text.as_deref()) {
            Marker::Foreign(_) => filtered(text),
            _ => text,
        };
        let read = |facts: Option<FileFacts>| {
            facts.map(|facts| FileFacts {
                content: facts.content.map(|content| Box::new(content.shown())),
                ..facts
            })
        };
        let effects = self.effects;
        Self {
            extension: filtered(self.extension),
            marker_text: marker(self.marker_text),
            unknown: serde_json::Map::new(),
            effects: Effects {
                original: read(effects.original),
                watermarked: read(effects.watermarked),
                renewal: effects
                    .renewal
                    .map(|renewal| Renewal { marker_text: marker(renewal.marker_text), ..renewal }),
                ..effects
            },
            ..self
        }
    }
}
