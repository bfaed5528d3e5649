//! Compares films.

use common::check::Obstacle;
use common::content::Film;
use common::prose::prose;

use super::{Finding, same};

/// Re-encoding a film rounds its duration to whole frames, and the slowest films have four per second.
const DURATION_TOLERANCE_MS: u64 = 250;

/// Handlers of tracks that are played: pictures, sound and text.
const PLAYING: [&str; 6] = ["vide", "soun", "text", "sbtl", "subt", "clcp"];

/// If the original is damaged, damage of the result is no difference.
pub(super) fn container(original: &Film, result: &Film) -> Finding {
    match (&original.damage, &result.damage) {
        (Some(damage), _) => {
            Finding::Impossible(Obstacle::Unreadable, format!("the original is damaged: {damage}"))
        }
        (None, None) => Finding::Same,
        (None, Some(damage)) => {
            Finding::Differs { original: "an intact container".to_owned(), result: format!("none: {damage}") }
        }
    }
}

/// Only tracks that are played must be the same: programs drop and add timecodes and metadata.
pub(super) fn tracks(original: &Film, result: &Film) -> Finding {
    let shown = |tracks: &Vec<String>| match tracks.as_slice() {
        [] => "no tracks".to_owned(),
        // Four bytes each, as the file says.
        tracks => format!("the tracks {}", prose(&tracks.join(", "))),
    };
    let of = |film: &Film, plays: bool| {
        let tracks = film.tracks.iter().filter(|track| PLAYING.contains(&track.as_str()) == plays);
        tracks.cloned().collect::<Vec<_>>()
    };
    let playing = same(&of(original, true), &of(result, true), shown);
    let (theirs, ours) = (of(original, false), of(result, false));
    if playing != Finding::Same || theirs == ours {
        return playing;
    }
    let (theirs, ours) = (shown(&theirs), shown(&ours));
    let reason = format!("of what does not play, the original has {theirs}, the result {ours}");
    Finding::Impossible(Obstacle::NotCompared, reason)
}

pub(super) fn duration(original: &Film, result: &Film) -> Finding {
    if original.duration_ms == 0 {
        let reason = "the original does not say how long it runs".to_owned();
        return Finding::Impossible(Obstacle::Unstated, reason);
    }
    if original.duration_ms.abs_diff(result.duration_ms) <= DURATION_TOLERANCE_MS {
        return Finding::Same;
    }
    same(&original.duration_ms, &result.duration_ms, |duration| format!("a duration of {duration} ms"))
}

pub(super) fn resolution(original: &Film, result: &Film) -> Finding {
    // As shown where known: a result may store its pixels turned and state no rotation.
    let (theirs, ours) = match (&original.shown, &result.shown) {
        (Some(theirs), Some(ours)) => (theirs, ours),
        _ => (&original.resolutions, &result.resolutions),
    };
    let sizes = same(theirs, ours, |resolutions| {
        let sizes: Vec<_> = resolutions.iter().map(|(width, height)| format!("{width} × {height}")).collect();
        if sizes.is_empty() {
            "no picture track".to_owned()
        } else {
            format!("pictures of {}", sizes.join(", "))
        }
    });
    match (&original.rotations, &result.rotations) {
        (Some(theirs), Some(ours)) if sizes == Finding::Same => rotations(theirs, ours),
        _ => sizes,
    }
}

/// Programs keep the stated rotation, or turn the pixels and state none. The sizes show which, for a quarter turn; for half
/// a turn nothing does.
fn rotations(theirs: &[u16], ours: &[u16]) -> Finding {
    let differing = theirs.iter().zip(ours).find(|(theirs, ours)| theirs != ours);
    match differing {
        None | Some((90 | 270, 0) | (0, 90 | 270)) => Finding::Same,
        Some((180, 0)) => Finding::Impossible(
            Obstacle::NotCompared,
            "the original is shown turned by 180°, the result as it is stored: whether its pixels were turned was not \
             looked at"
                .to_owned(),
        ),
        Some((theirs, ours)) => {
            same(theirs, ours, |degrees| format!("pictures that are shown turned by {degrees}°"))
        }
    }
}
