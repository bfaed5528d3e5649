//! PDF: the number of pages.

use std::io::Read;

use common::content::Content;
use hayro_syntax::{LoadPdfError, Pdf};

use super::memory::MOST_DECODED;
use super::{Source, length};

/// Maximum length, in bytes: a document is parsed in memory, and its objects take about as much again.
const LARGEST: u64 = MOST_DECODED / 2;

pub(super) fn read(mut file: impl Source) -> Content {
    let bytes = match length(&mut file) {
        Ok(bytes) if bytes > LARGEST => {
            return Content::Unreadable(format!("too large to count its pages: {} MiB", bytes >> 20));
        }
        Ok(bytes) => bytes,
        Err(error) => return Content::Unreadable(error.to_string()),
    };
    let mut content = Vec::new();
    if let Err(error) = file.take(bytes).read_to_end(&mut content) {
        return Content::Unreadable(error.to_string());
    }
    match Pdf::new(content) {
        Ok(pdf) => Content::Document { pages: pdf.pages().len() as u64 },
        Err(LoadPdfError::Decryption(_)) => Content::Unreadable("it is encrypted".to_owned()),
        Err(LoadPdfError::Invalid) => Content::Unreadable("it is damaged".to_owned()),
    }
}
