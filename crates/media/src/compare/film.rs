//! The traits of films.

use common::content::Film;

use super::{Finding, same};

/// Writing a film anew rounds its length to whole frames, and the slowest films have four a second.
const DURATION_TOLERANCE_MS: u64 = 250;

/// A film that was damaged before cannot become worse.
pub(super) fn container(original: &Film, result: &Film) -> Finding {
    match (&original.damage, &result.damage) {
        (Some(damage), _) => Finding::Impossible(format!("the original is damaged: {damage}")),
        (None, None) => Finding::Same,
        (None, Some(damage)) => {
            Finding::Differs { original: "an intact container".to_owned(), result: format!("none: {damage}") }
        }
    }
}

pub(super) fn tracks(original: &Film, result: &Film) -> Finding {
    same(&original.tracks, &result.tracks, |tracks| match tracks.as_slice() {
        [] => "no tracks".to_owned(),
        tracks => format!("the tracks {}", tracks.join(", ")),
    })
}

pub(super) fn duration(original: &Film, result: &Film) -> Finding {
    if original.duration_ms.abs_diff(result.duration_ms) <= DURATION_TOLERANCE_MS {
        return Finding::Same;
    }
    same(&original.duration_ms, &result.duration_ms, |duration| format!("a duration of {duration} ms"))
}

pub(super) fn resolution(original: &Film, result: &Film) -> Finding {
    same(&original.resolutions, &result.resolutions, |resolutions| {
        let sizes: Vec<_> = resolutions.iter().map(|(width, height)| format!("{width} × {height}")).collect();
        if sizes.is_empty() {
            "no picture track".to_owned()
        } else {
            format!("pictures of {}", sizes.join(", "))
        }
    })
}
