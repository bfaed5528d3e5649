//! Compares single properties of two files.

mod credits;
mod film;
mod picture;
mod similarity;

#[cfg(test)]
mod tests;

pub use similarity::{Likeness, likeness};
#[cfg(test)]
pub(crate) use similarity::{of_details, similarity};

use common::check::{Check, Obstacle};
use common::content::Content;
use common::hash::FileFacts;

/// The result of one check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Finding {
    /// No difference, or the check does not apply to this kind of file.
    Same,
    /// The values differ.
    Differs { original: String, result: String },
    /// There is nothing to compare; the result is not at fault.
    Impossible(Obstacle, String),
}

/// Whether a check applies to files of this media type.
pub(super) fn concerns(check: Check, media_type: &str) -> bool {
    match check {
        Check::MediaType | Check::PixelSize => true,
        Check::Orientation
        | Check::BitDepth
        | Check::Alpha
        | Check::Dpi
        | Check::IccProfile
        | Check::Copyright
        | Check::SamePicture => media_type.starts_with("image/"),
        Check::Container | Check::Tracks | Check::Duration | Check::Resolution => {
            media_type.starts_with("video/")
        }
        Check::Pages => media_type == "application/pdf" || media_type.starts_with("image/"),
    }
}

pub(super) fn compare(
    check: Check,
    original: &FileFacts,
    result: &FileFacts,
    least_similarity: f64,
) -> Finding {
    let pictures = |compare: fn(&_, &_) -> Finding| of_kind(original, result, picture, compare);
    let films = |compare: fn(&_, &_) -> Finding| of_kind(original, result, film, compare);
    match check {
        Check::MediaType => media_type(original, result),
        Check::PixelSize => pixel_size(original, result),
        Check::Orientation => pictures(picture::orientation),
        Check::BitDepth => pictures(picture::bit_depth),
        Check::Alpha => pictures(picture::alpha),
        Check::Dpi => pictures(picture::dpi),
        Check::IccProfile => pictures(picture::icc_profile),
        Check::Copyright => pictures(credits::credits),
        Check::SamePicture => of_kind(original, result, picture, |original, result| {
            picture::view(original, result, least_similarity)
        }),
        Check::Container => films(film::container),
        Check::Tracks => films(film::tracks),
        Check::Duration => films(film::duration),
        Check::Resolution => films(film::resolution),
        Check::Pages if matches!(original.content.as_deref(), Some(Content::Document { .. })) => {
            of_kind(original, result, pages, |original, result| {
                same(original, result, |pages| format!("{pages} pages"))
            })
        }
        Check::Pages => pictures(picture::frames),
    }
}

/// Compares two values by equality.
fn same<T: PartialEq>(original: &T, result: &T, show: impl Fn(&T) -> String) -> Finding {
    if original == result {
        return Finding::Same;
    }
    Finding::Differs { original: show(original), result: show(result) }
}

fn media_type(original: &FileFacts, result: &FileFacts) -> Finding {
    // HEIC is a kind of HEIF, and earlier releases did not distinguish them.
    let spelled = |facts: &FileFacts| match facts.media_type.as_deref() {
        Some("image/heic") => Some("image/heif".to_owned()),
        other => other.map(str::to_owned),
    };
    if original.media_type.is_none() {
        return Finding::Impossible(Obstacle::Unstated, "the original is of no known type".to_owned());
    }
    if spelled(original) == spelled(result) {
        return Finding::Same;
    }
    same(&original.media_type, &result.media_type, |media_type| {
        media_type.as_ref().map_or_else(|| "no known type".to_owned(), |name| format!("the type {name}"))
    })
}

fn pixel_size(original: &FileFacts, result: &FileFacts) -> Finding {
    let is_picture = original.media_type.as_ref().is_some_and(|name| name.starts_with("image/"));
    if original.pixels.is_none() && (is_picture || result.pixels.is_some()) {
        return Finding::Impossible(Obstacle::Unstated, "the original has no readable size".to_owned());
    }
    same(&original.pixels, &result.pixels, |pixels| match pixels {
        Some((width, height)) => format!("{width} × {height} pixels"),
        None => "no readable size".to_owned(),
    })
}

/// Compares the content of both files if the original is of the kind that `pick` selects.
fn of_kind<T>(
    original: &FileFacts,
    result: &FileFacts,
    pick: fn(&Content) -> Option<&T>,
    compare: impl FnOnce(&T, &T) -> Finding,
) -> Finding {
    let theirs = match original.content.as_deref() {
        None => {
            let reason = "the original was inspected by another release".to_owned();
            return Finding::Impossible(Obstacle::NotLookedAt, reason);
        }
        Some(Content::Unreadable(reason)) => {
            let reason = format!("the original could not be read: {reason}");
            return Finding::Impossible(Obstacle::Unreadable, reason);
        }
        Some(Content::Unread) => {
            let kind = original.media_type.as_deref().unwrap_or("this kind of file");
            return Finding::Impossible(Obstacle::NoReader, format!("no check looks into {kind}"));
        }
        Some(content) => pick(content),
    };
    let Some(theirs) = theirs else { return Finding::Same };
    match result.content.as_deref() {
        None => Finding::Impossible(
            Obstacle::NotLookedAt,
            "the result was inspected by another release".to_owned(),
        ),
        Some(Content::Unreadable(reason)) => {
            Finding::Differs { original: "readable content".to_owned(), result: format!("none: {reason}") }
        }
        Some(content) => match pick(content) {
            Some(ours) => compare(theirs, ours),
            None => Finding::Differs {
                original: "readable content".to_owned(),
                result: "another kind of it".to_owned(),
            },
        },
    }
}

fn picture(content: &Content) -> Option<&common::content::Picture> {
    match content {
        Content::Picture(picture) => Some(picture),
        Content::Film(_)
        | Content::Document { .. }
        | Content::Unreadable(_)
        | Content::Unread
        | Content::Other => None,
    }
}

fn film(content: &Content) -> Option<&common::content::Film> {
    match content {
        Content::Film(film) => Some(film),
        Content::Picture(_)
        | Content::Document { .. }
        | Content::Unreadable(_)
        | Content::Unread
        | Content::Other => None,
    }
}

fn pages(content: &Content) -> Option<&u64> {
    match content {
        Content::Document { pages } => Some(pages),
        Content::Picture(_)
        | Content::Film(_)
        | Content::Unreadable(_)
        | Content::Unread
        | Content::Other => None,
    }
}
