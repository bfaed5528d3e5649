//! The traits of films.

use common::check::Obstacle;
use common::content::Film;

use super::{Finding, same};

/// Writing a film anew rounds its length to whole frames, and the slowest films have four a second.
const DURATION_TOLERANCE_MS: u64 = 250;

/// Handlers of tracks that are seen, heard or read.
const PLAYING: [&str; 6] = ["vide", "soun", "text", "sbtl", "subt", "clcp"];

/// A film that was damaged before cannot become worse.
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

/// Timecodes and metadata are not seen or heard, and programs drop or add them.
pub(super) fn tracks(original: &Film, result: &Film) -> Finding {
    let shown = |tracks: &Vec<String>| match tracks.as_slice() {
        [] => "no tracks".to_owned(),
        tracks => format!("the tracks {}", tracks.join(", ")),
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
    // A film may come back turned, with its pixels turned too.
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

/// Programs leave the rotation as it is, or turn the pixels and state none; a quarter of a turn shows in the sizes.
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
