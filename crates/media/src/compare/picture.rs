//! Compares pictures.

use common::check::Obstacle;
use common::content::{Picture, Profile, View, profile_name};

use super::similarity::{Likeness, likeness};
use super::{Finding, same};

/// Least similarity of details, and largest difference of a colour's means (of 255); measured in docs/checks.md.
const LEAST_ALIKE: f64 = 0.95;
const MOST_SHIFT: f64 = 6.0;

pub(super) fn orientation(original: &Picture, result: &Picture) -> Finding {
    let meant = |number: u32| if (1..=8).contains(&number) { number } else { 1 };
    same(&meant(original.orientation), &meant(result.orientation), |number| format!("orientation {number}"))
}

pub(super) fn bit_depth(original: &Picture, result: &Picture) -> Finding {
    same(&original.bit_depth, &result.bit_depth, |bits| format!("{bits} bits a channel"))
}

pub(super) fn alpha(original: &Picture, result: &Picture) -> Finding {
    same(&original.alpha, &result.alpha, |alpha| {
        if *alpha { "transparency" } else { "no transparency" }.to_owned()
    })
}

/// The result may state a resolution where the original states none: nothing is lost.
pub(super) fn dpi(original: &Picture, result: &Picture) -> Finding {
    let wanted: Vec<_> = stated(original).collect();
    let found = stated(result).next();
    // PNG stores dots per metre, so converting rounds the value.
    let near = |left: u32, right: u32| left.abs_diff(right) <= 1;
    let is_kept = |found: (u32, u32)| wanted.iter().any(|it| near(found.0, it.0) && near(found.1, it.1));
    if wanted.is_empty() || found.is_some_and(is_kept) {
        return Finding::Same;
    }
    let show = |(across, down): (u32, u32)| format!("{across} × {down} dpi");
    let original = wanted.into_iter().map(show).collect::<Vec<_>>().join(" or ");
    Finding::Differs { original, result: found.map_or_else(|| "none".to_owned(), show) }
}

/// The stated resolutions, the container's first. Programs write 0 or 1 if they do not know it.
fn stated(picture: &Picture) -> impl Iterator<Item = (u32, u32)> {
    let stated = [picture.dpi, picture.exif_dpi].into_iter().flatten();
    stated.filter(|(across, down)| *across > 1 && *down > 1)
}

/// The result may not add a profile: it can change how the picture looks. The same holds for another colour model, gamma or
/// code points.
pub(super) fn icc_profile(original: &Picture, result: &Picture) -> Finding {
    if let (Some(theirs), Some(ours)) = (&original.colours, &result.colours)
        && theirs != ours
    {
        return same(theirs, ours, |colours| format!("colours in {colours}"));
    }
    let (Some(theirs), Some(ours)) = (&original.profile, &result.profile) else {
        return same(&original.icc_profile, &result.icc_profile, |profile| {
            profile
                .as_ref()
                .map_or_else(|| "no profile".to_owned(), |name| format!("the profile {}", profile_name(name)))
        });
    };
    match (theirs, ours) {
        (Profile::Srgb, Profile::Icc { is_srgb: true, .. })
        | (Profile::Icc { is_srgb: true, .. }, Profile::Srgb) => Finding::Same,
        _ => same(theirs, ours, |profile| match profile {
            Profile::Absent => "no profile".to_owned(),
            Profile::Srgb => "a chunk that says sRGB".to_owned(),
            Profile::Icc { name, .. } => format!("the profile {}", profile_name(name)),
        }),
    }
}

pub(super) fn frames(original: &Picture, result: &Picture) -> Finding {
    match (original.frames, result.frames) {
        (Some(theirs), Some(ours)) => same(&theirs, &ours, |frames| format!("{frames} pictures or pages")),
        (None, _) => {
            Finding::Impossible(Obstacle::Unstated, "the original's pictures were not counted".to_owned())
        }
        (Some(_), None) => {
            Finding::Impossible(Obstacle::Unstated, "the result's pictures were not counted".to_owned())
        }
    }
}

pub(super) fn view(original: &Picture, result: &Picture, least: f64) -> Finding {
    let lost: Vec<_> = original.behind.difference(&result.behind).map(|behind| behind.name()).collect();
    let lost = if lost.is_empty() { None } else { Some(lost.join(" and ")) };
    match (shown(original, result, least), lost) {
        (Finding::Same, Some(lost)) => {
            let reason = format!("the picture is the same, but the {lost} behind it is lost");
            Finding::Impossible(Obstacle::NotCompared, reason)
        }
        (Finding::Impossible(obstacle, reason), Some(lost)) => {
            Finding::Impossible(obstacle, format!("{reason}; the {lost} behind it is lost"))
        }
        (finding, _) => finding,
    }
}

fn shown(original: &Picture, result: &Picture, least: f64) -> Finding {
    let theirs = match &original.view {
        None => {
            return Finding::Impossible(Obstacle::NotLookedAt, "the original was not decoded".to_owned());
        }
        Some(View::TooLarge { needed }) => {
            let reason = format!("too large to decode: {} MiB of memory", needed >> 20);
            return Finding::Impossible(Obstacle::TooLarge, reason);
        }
        Some(View::Undecodable(reason)) => {
            let reason = format!("the original cannot be decoded: {reason}");
            return Finding::Impossible(Obstacle::Undecodable, reason);
        }
        Some(View::Thumbnail(thumbnail)) => thumbnail,
    };
    let differs = |result: String| Finding::Differs {
        original: format!("a picture to be met with a similarity of at least {least}"),
        result,
    };
    match &result.view {
        None => Finding::Impossible(Obstacle::NotLookedAt, "the result was not decoded".to_owned()),
        Some(View::TooLarge { needed }) => {
            let reason = format!("the result is too large to decode: {} MiB of memory", needed >> 20);
            Finding::Impossible(Obstacle::TooLarge, reason)
        }
        Some(View::Undecodable(reason)) => differs(format!("cannot be decoded: {reason}")),
        Some(View::Thumbnail(ours)) => {
            let Likeness { similarity: found, details, shift } = likeness(theirs, ours);
            if found < least {
                differs(format!("one of {found:.3}"))
            } else if details < LEAST_ALIKE {
                differs(format!(
                    "one of {found:.3}, but its details have {details:.3} of at least {LEAST_ALIKE}"
                ))
            } else if shift > MOST_SHIFT {
                differs(format!(
                    "one of {found:.3}, but a colour is {shift:.0} of 255 steps lighter or darker"
                ))
            } else {
                Finding::Same
            }
        }
    }
}
