//! The auditor's own parser of the hash metaproperty, as specified in `docs/protocol.md`. It shares no code with the client's
//! parser and writer, which it audits.

#[cfg(test)]
mod tests;

use std::fmt;

const MOST_RECORDS: usize = 8;
const LONGEST_ID: usize = 64;

/// The parsed hash metaproperty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Marker {
    Blank,
    /// A bare hash from another tool.
    Legacy,
    Ours {
        opted_out: bool,
        records: Vec<Record>,
    },
    /// Anything else: a person's text, or a malformed marker.
    Foreign,
}

/// One record, hashes in lower-case hex.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) original: String,
    pub(crate) watermarked: String,
    pub(crate) version: u32,
    pub(crate) bytes: u64,
}

impl Marker {
    pub(crate) fn parse(text: Option<&str>) -> Self {
        let text = text.unwrap_or_default().trim();
        if text.is_empty() {
            return Self::Blank;
        }
        if matches!(text.len(), 32 | 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Self::Legacy;
        }
        Self::ours(text).unwrap_or(Self::Foreign)
    }

    fn ours(text: &str) -> Option<Self> {
        let (opted_out, rest) = match text.strip_prefix("opted-out") {
            // People write the flag without a record, and the trailing space is trimmed.
            Some("" | ";") => return Some(Self::Ours { opted_out: true, records: Vec::new() }),
            Some(rest) => (true, rest.strip_prefix("; ")?),
            None => (false, text),
        };
        let mut parts = rest.split("; ").peekable();
        parts.next_if(|part| names_other_asset(part));
        let records = parts.map(Record::parse).collect::<Option<Vec<_>>>()?;
        (records.len() <= MOST_RECORDS).then_some(Self::Ours { opted_out, records })
    }

    pub(crate) fn opted_out(&self) -> bool {
        matches!(self, Self::Ours { opted_out: true, .. })
    }

    pub(crate) fn records(&self) -> &[Record] {
        match self {
            Self::Ours { records, .. } => records,
            Self::Blank | Self::Legacy | Self::Foreign => &[],
        }
    }
}

impl Record {
    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let record = Self {
            original: hash(words.next()?)?,
            watermarked: hash(words.next()?)?,
            version: words.next()?.strip_prefix('v')?.parse().ok()?,
            bytes: words.next()?.parse().ok()?,
        };
        // The round trip rejects signs, leading zeros and additional words.
        (record.to_string() == text).then_some(record)
    }
}

impl fmt::Display for Record {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {} v{} {}", self.original, self.watermarked, self.version, self.bytes)
    }
}

fn hash(word: &str) -> Option<String> {
    let is_digit = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    (word.len() == 64 && word.bytes().all(is_digit)).then(|| word.to_owned())
}

/// Whether this part is the link to the asset's copy or original.
fn names_other_asset(part: &str) -> bool {
    let id = part.strip_prefix("copied-to ").or_else(|| part.strip_prefix("copy-of "));
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    id.is_some_and(|id| (1..=LONGEST_ID).contains(&id.len()) && id.bytes().all(is_letter))
}
