//! The name under which a file is uploaded. Bynder derives an asset's type and extension from it, so it needs the extension of
//! the file that it replaces.

#[cfg(test)]
mod tests;

use std::fmt;

use crate::kind::Kind;
use crate::visible::{is_acted_on, is_unseen};

/// Maximum length of any stem, in characters.
const LONGEST: usize = 255;
/// Maximum length of a stem for the upload, in characters; storage keys leave no room for more.
const LONGEST_STEM: usize = 150;
/// Maximum length of a stem before a suffix, in characters, so that the upload does not cut off the suffix.
const LONGEST_STEM_BEFORE_SUFFIX: usize = 100;
/// Maximum length of an extension; what follows the last dot is part of the name if it is longer.
const LONGEST_EXTENSION: usize = 10;

/// A file name with an extension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileName {
    stem: String,
    extension: String,
}

/// What is known about a file's name.
#[derive(Debug, Clone, Copy, Default)]
pub struct Known<'a> {
    /// The name under which the file was uploaded.
    pub own: Option<&'a str>,
    /// The extension that the portal shows.
    pub extension: Option<&'a str>,
    /// The media type by content.
    pub media_type: Option<&'a str>,
    /// The asset's name. People can write anything into it, so it never decides the extension.
    pub asset_name: &'a str,
}

impl FileName {
    /// The name for the file that replaces this one; `None` if no extension is known.
    pub fn of(known: Known<'_>) -> Option<Self> {
        let own = known.own.filter(|name| !name.is_empty());
        let shown = known.extension.filter(|extension| is_extension(extension));
        let (stem, extension) = match (own.and_then(split), shown) {
            (Some(own), None) => own,
            (Some((stem, extension)), Some(shown)) if is_same(extension, shown) => (stem, extension),
            (Some(_) | None, Some(shown)) => (own.unwrap_or(known.asset_name), shown),
            (None, None) => (own.unwrap_or(known.asset_name), usual_extension(known.media_type?)?),
        };
        Some(Self { stem: clean(stem), extension: extension.to_owned() })
    }

    /// The same name with a suffix after its stem.
    #[must_use]
    pub fn with_suffix(&self, suffix: &str) -> Self {
        let stem: String = self.stem.chars().take(LONGEST_STEM_BEFORE_SUFFIX).collect();
        Self { stem: format!("{stem}-{suffix}"), extension: self.extension.clone() }
    }

    /// The name in a form that headers and the upload accept: without quotes, path separators and leading dot, and of bounded
    /// length.
    pub fn for_upload(&self) -> String {
        format!("{}.{}", for_header(&self.stem), self.extension)
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.stem, self.extension)
    }
}

/// The text in a form that a header accepts; some parsers end it at a quote or a bare line feed, and some systems turn
/// characters into those that Unicode holds to be compatible, or into ASCII.
pub fn for_header(text: &str) -> String {
    let is_separator = |c| {
        matches!(
            c,
            '/' | '\\'
                | '"'
                | '\u{2044}'
                | '\u{2100}'
                | '\u{2101}'
                | '\u{2105}'
                | '\u{2106}'
                | '\u{2215}'
                | '\u{29f5}'
                | '\u{29f8}'
                | '\u{29f9}'
                | '\u{fe68}'
                | '\u{ff02}'
                | '\u{ff0f}'
                | '\u{ff3c}'
        )
    };
    let seen = text.chars().filter(|c| !is_unseen(*c));
    let plain = seen.map(|c| match c {
        '\u{2024}' | '\u{fe52}' | '\u{ff0e}' => '.',
        c if is_acted_on(c) || is_separator(c) => '_',
        c => c,
    });
    let text: String = plain.collect();
    let text: String = text.trim_start_matches(['.', '‥', '…']).chars().take(LONGEST_STEM).collect();
    if text.is_empty() { "file".to_owned() } else { text }
}

fn clean(stem: &str) -> String {
    let seen = stem.chars().filter(|c| !is_unseen(*c));
    let stem: String = seen.map(|c| if is_acted_on(c) { '_' } else { c }).take(LONGEST).collect();
    let stem = stem.trim().trim_end_matches('.');
    if stem.is_empty() { "file".to_owned() } else { stem.to_owned() }
}

/// Splits a name into stem and extension. A number after a dot is part of the name: "Brand guide 2.0".
fn split(name: &str) -> Option<(&str, &str)> {
    let (stem, extension) = name.rsplit_once('.')?;
    let has_letter = extension.chars().any(|c| c.is_ascii_alphabetic());
    (is_extension(extension) && has_letter).then_some((stem, extension))
}

fn is_extension(text: &str) -> bool {
    (1..=LONGEST_EXTENSION).contains(&text.len()) && text.chars().all(|c| c.is_ascii_alphanumeric())
}

/// Whether both extensions mean the same format; the portal may show another case or spelling.
fn is_same(own: &str, shown: &str) -> bool {
    let kind = Kind::of_extension(own);
    own.eq_ignore_ascii_case(shown) || (kind.is_some() && kind == Kind::of_extension(shown))
}

/// The usual extension of a media type that is recognised by content.
pub fn usual_extension(media_type: &str) -> Option<&'static str> {
    Kind::of_media_type(media_type)?.extensions.first().copied()
}
