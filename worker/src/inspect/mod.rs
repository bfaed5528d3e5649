//! Reading what has to be remembered of a file, each kind by its own reader.
//!
//! Everything is read from the spool through a reader that seeks, and every allocation is bounded, so that neither a
//! huge nor a hostile file costs more memory than any other.

mod credits;
mod document;
mod exif;
mod film;
mod jpeg;
mod memory;
mod picture;
mod png;
mod thumbnail;
mod tiff;
mod web;

#[cfg(test)]
mod tests;

use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};

use common::config::ChecksSection;
use common::content::Content;
use common::hash::FileFacts;
use common::spool::SpooledFile;
use image::ImageFormat;
use tokio::sync::Semaphore;
use tokio::task::{JoinError, spawn_blocking};

use crate::error::StepError;

/// Enough for every signature that `infer` knows.
const SIGNATURE_BYTES: u64 = 8192;

/// Decoding takes memory and a processor, however many jobs are in flight: one file at a time.
static DECODER: Semaphore = Semaphore::const_new(1);

/// A file as the readers of each kind see it.
trait Source: BufRead + Seek {}

impl<T: BufRead + Seek> Source for T {}

/// Collects what has to outlive the file: its hash and length, and what its bytes say.
///
/// # Errors
/// The disk failed, or the reading was stopped.
pub async fn facts(file: &SpooledFile, checks: &ChecksSection) -> Result<FileFacts, StepError> {
    let stopped = |error: JoinError| StepError::Local(format!("reading a file was stopped: {error}"));
    let spooled = file.clone();
    let header = spawn_blocking(move || {
        let open = || BufReader::new(spooled.reader());
        (media_type(open()), pixels(open()))
    });
    let (media_type, pixels) = header.await.map_err(stopped)?;
    let turn = DECODER.acquire().await.map_err(|error| StepError::Local(error.to_string()))?;
    let (spooled, wanted, kind) = (file.clone(), checks.clone(), media_type.clone());
    let reading =
        spawn_blocking(move || content(BufReader::new(spooled.reader()), kind.as_deref(), &wanted)).await;
    drop(turn);
    let content = match reading {
        Ok(content) => content,
        // A reader that stumbles over a malformed file must not stop the worker, nor call the file good.
        Err(error) if error.is_panic() => Content::Unreadable("its reader stumbled over it".to_owned()),
        Err(error) => return Err(stopped(error)),
    };
    Ok(FileFacts {
        sha256: file.sha256(),
        bytes: file.bytes(),
        media_type,
        pixels,
        content: Some(Box::new(content)),
    })
}

fn content(file: impl Source, media_type: Option<&str>, checks: &ChecksSection) -> Content {
    let decode = checks.same_picture;
    match media_type {
        Some("image/jpeg") => picture::content(jpeg::read(file, decode)),
        Some("image/png") => picture::content(png::read(file, decode)),
        Some("image/tiff") => picture::content(tiff::read(file, decode)),
        Some("image/gif") => picture::content(web::read(file, ImageFormat::Gif, decode)),
        Some("image/webp") => picture::content(web::read(file, ImageFormat::WebP, decode)),
        Some("video/mp4" | "video/quicktime" | "video/x-m4v") => film::read(file),
        Some("application/pdf") if checks.pages => document::read(file),
        Some("application/pdf") => Content::Unreadable("nobody wanted its pages counted".to_owned()),
        Some(other) if other.starts_with("image/") || other.starts_with("video/") => {
            Content::Unreadable(format!("no check looks into {other}"))
        }
        Some(_) | None => Content::Other,
    }
}

fn media_type(file: impl Source) -> Option<String> {
    let mut start = Vec::new();
    file.take(SIGNATURE_BYTES).read_to_end(&mut start).ok()?;
    infer::get(&start).map(|kind| kind.mime_type().to_owned())
}

fn pixels(file: impl Source) -> Option<(u32, u32)> {
    let size = imagesize::reader_size(file).ok()?;
    Some((u32::try_from(size.width).ok()?, u32::try_from(size.height).ok()?))
}

/// How long the file is; the reader stands at its beginning afterwards.
fn length(file: &mut impl Source) -> std::io::Result<u64> {
    let length = file.seek(SeekFrom::End(0))?;
    file.rewind()?;
    Ok(length)
}
