//! Reads the properties of a file; each kind of file has its own module.
//!
//! Files are read with seeks, and most allocations are bounded, so that a huge file takes no more memory than any other.

mod behind;
mod bounds;
mod boxes;
mod credits;
mod directories;
mod document;
mod exif;
mod film;
mod fragments;
mod frames;
mod heif;
mod items;
mod jpeg;
pub(crate) mod kind;
mod memory;
mod picture;
mod png;
mod profile;
mod raw;
mod relabelled;
mod segments;
mod thumbnail;
mod tiff;
mod web;

#[cfg(test)]
mod tests;

use std::io::{BufRead, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};

use common::check::Check;
use common::content::Content;
use common::hash::{ContentHash, FileFacts};
use image::ImageFormat;

use crate::checks::Checks;

/// What the modules read from.
trait Source: BufRead + Seek {}

impl<T: BufRead + Seek> Source for T {}

/// The properties of a file's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// Media type by content, if it is a known one.
    pub media_type: Option<String>,
    /// Width and height in pixels, for pictures whose header could be read.
    pub pixels: Option<(u32, u32)>,
    pub content: Content,
}

impl Reading {
    /// The facts of the file, given its hash and length.
    pub fn into_facts(self, sha256: ContentHash, bytes: u64) -> FileFacts {
        let Self { media_type, pixels, content } = self;
        FileFacts { sha256, bytes, media_type, pixels, content: Some(Box::new(content)) }
    }
}

/// Reads a file from its beginning, as far as the enabled checks need it.
///
/// Blocks, and takes memory and CPU time for decoding: the caller limits how many files are read at once.
pub fn read(mut file: impl BufRead + Seek, checks: &Checks) -> Reading {
    let media_type = kind::media_type(&mut file);
    let pixels = pixels(&mut file, media_type.as_deref(), checks);
    let content = guarded_content(file, media_type.as_deref(), checks);
    Reading { media_type, pixels, content }
}

/// Reads the content; a panic on a malformed file makes it [`Content::Unreadable`].
pub(crate) fn guarded_content(
    file: impl BufRead + Seek,
    media_type: Option<&str>,
    checks: &Checks,
) -> Content {
    catch_unwind(AssertUnwindSafe(|| content(file, media_type, checks)))
        .unwrap_or_else(|_panic| Content::Unreadable("its reader stumbled over it".to_owned()))
}

fn content(mut file: impl Source, media_type: Option<&str>, checks: &Checks) -> Content {
    if !checks.need_content() {
        return Content::Unread;
    }
    if let Err(error) = file.rewind() {
        return Content::Unreadable(error.to_string());
    }
    let decode = checks.includes(Check::SamePicture);
    // Only the pixels show whether an alpha channel is used.
    let decode_alpha = decode || checks.includes(Check::Alpha);
    match media_type {
        Some("image/jpeg") => picture::content(jpeg::read(file, decode)),
        Some("image/png") => picture::content(png::read(file, decode_alpha)),
        Some("image/tiff") => picture::content(tiff::read(file, decode_alpha)),
        Some("image/gif") => picture::content(web::read(file, ImageFormat::Gif, decode_alpha)),
        Some("image/webp") => picture::content(web::read(file, ImageFormat::WebP, decode_alpha)),
        Some("image/heic" | "image/heif" | "image/avif") => picture::content(heif::read(file, decode)),
        Some("video/mp4" | "video/quicktime" | "video/x-m4v" | "video/3gpp" | "video/3gpp2") => {
            film::read(file)
        }
        Some("application/pdf") if checks.includes(Check::Pages) => document::read(file),
        Some("application/pdf") => Content::Unreadable("the check `pages` is off".to_owned()),
        Some(other) if other.starts_with("image/") || other.starts_with("video/") => Content::Unread,
        Some(_) | None => Content::Other,
    }
}

pub(crate) fn pixels(
    mut file: impl BufRead + Seek,
    media_type: Option<&str>,
    checks: &Checks,
) -> Option<(u32, u32)> {
    if !checks.includes(Check::PixelSize) {
        return None;
    }
    file.rewind().ok()?;
    match media_type {
        Some("image/jpeg") => return jpeg::pixels(file),
        Some("image/heic" | "image/heif" | "image/avif") => return heif::pixels(file),
        _ => {}
    }
    let size = imagesize::reader_size(file).ok()?;
    Some((u32::try_from(size.width).ok()?, u32::try_from(size.height).ok()?))
}

/// The file's length; rewinds the file.
fn length(file: &mut impl Source) -> std::io::Result<u64> {
    let length = file.seek(SeekFrom::End(0))?;
    file.rewind()?;
    Ok(length)
}
