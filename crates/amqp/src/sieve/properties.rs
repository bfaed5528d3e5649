//! Rebuilds a message's properties from those that this program reads; the others are dropped. Pure.

use crate::message::{LOST, SIGNATURE};

/// The headers that this program reads.
const HEADERS: [&[u8]; 3] = [b"x-delivery-count", SIGNATURE.as_bytes(), LOST.as_bytes()];
/// The longest entry of a header to keep, in bytes.
const MOST_TEXT: usize = 255;

/// The properties in the order of their flags.
const ORDER: [Property; 14] = [
    Property::Text,
    Property::Text,
    Property::Headers,
    Property::Bytes(1),
    Property::Bytes(1),
    Property::Text,
    Property::Text,
    Property::Text,
    Property::MessageId,
    Property::Bytes(8),
    Property::Text,
    Property::Text,
    Property::Text,
    Property::Text,
];
const HEADERS_FLAG: u16 = 1 << 13;
const MESSAGE_ID_FLAG: u16 = 1 << 7;

#[derive(Clone, Copy)]
enum Property {
    Text,
    Headers,
    MessageId,
    Bytes(usize),
}

/// The properties to keep, from bytes that may end anywhere.
pub(super) fn kept(bytes: &[u8]) -> Vec<u8> {
    let mut reader = Reader(bytes);
    let Some(flags) = reader.array().map(u16::from_be_bytes) else { return vec![0, 0] };
    let (mut headers, mut id) = (None, None);
    let present = ORDER.iter().enumerate().filter(|(place, _)| flags & (1 << (15 - place)) != 0);
    for (_, property) in present {
        let read = match property {
            Property::Text => reader.text().map(drop),
            Property::Bytes(count) => reader.take(*count).map(drop),
            Property::MessageId => reader.text().map(|text| id = std::str::from_utf8(text).ok()),
            Property::Headers => {
                let table = reader.array().map(u32::from_be_bytes).map(|size| size as usize);
                let table = table.and_then(|size| {
                    headers = Some(kept_headers(&reader.0[..size.min(reader.0.len())]));
                    reader.take(size)
                });
                table.map(drop)
            }
        };
        if read.is_none() {
            break;
        }
    }
    let flag = |is_there, flag| if is_there { flag } else { 0 };
    let flags = flag(headers.is_some(), HEADERS_FLAG) | flag(id.is_some(), MESSAGE_ID_FLAG);
    let mut kept = flags.to_be_bytes().to_vec();
    if let Some(headers) = headers {
        kept.extend_from_slice(&u32::try_from(headers.len()).unwrap_or_default().to_be_bytes());
        kept.extend(headers);
    }
    if let Some(id) = id {
        kept.push(u8::try_from(id.len()).unwrap_or_default());
        kept.extend_from_slice(id.as_bytes());
    }
    kept
}

fn kept_headers(table: &[u8]) -> Vec<u8> {
    let (mut reader, mut kept) = (Reader(table), Vec::new());
    let mut left: Vec<&[u8]> = HEADERS.to_vec();
    while let Some((name, entry)) = reader.entry() {
        if let Some(place) =
            left.iter().position(|wanted| *wanted == name).filter(|_| entry.len() <= MOST_TEXT)
        {
            left.swap_remove(place);
            kept.extend_from_slice(entry);
        }
    }
    kept
}

/// Whether a table, which follows its length, can be read, and nests tables and arrays at most `levels` deep.
pub(super) fn is_shallow_table(bytes: &[u8], levels: usize) -> bool {
    let mut reader = Reader(bytes);
    let table = reader.array().map(u32::from_be_bytes).and_then(|size| reader.take(size as usize));
    table.is_some_and(|table| is_shallow(table, b'F', levels))
}

fn is_shallow(holder: &[u8], kind: u8, levels: usize) -> bool {
    let mut reader = Reader(holder);
    while !reader.0.is_empty() {
        if kind == b'F' && reader.text().is_none() {
            return false;
        }
        let Some((inner, content)) = reader.value() else { return false };
        if matches!(inner, b'A' | b'F') && (levels == 0 || !is_shallow(content, inner, levels - 1)) {
            return false;
        }
    }
    true
}

/// The bytes still to be read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const COUNT: usize>(&mut self) -> Option<[u8; COUNT]> {
        self.take(COUNT)?.try_into().ok()
    }

    fn text(&mut self) -> Option<&'a [u8]> {
        let [length] = self.array()?;
        self.take(length.into())
    }

    /// A table entry: its name, and all its bytes. `None` at the end, and at anything that is not an entry.
    fn entry(&mut self) -> Option<(&'a [u8], &'a [u8])> {
        let all = self.0;
        let name = self.text()?;
        let (kind, _) = self.value()?;
        let entry = &all[..all.len() - self.0.len()];
        // Nested values get no name, so that they are dropped: the client recurses into them.
        Some((if matches!(kind, b'A' | b'F') { b"" } else { name }, entry))
    }

    /// A value's type and content.
    fn value(&mut self) -> Option<(u8, &'a [u8])> {
        let [kind] = self.array()?;
        let length = match kind {
            b'V' => 0,
            b't' | b'b' | b'B' => 1,
            b's' | b'u' | b'U' => 2,
            b'I' | b'i' | b'f' => 4,
            b'D' => 5,
            b'l' | b'L' | b'd' | b'T' => 8,
            b'S' | b'x' | b'A' | b'F' => usize::try_from(u32::from_be_bytes(self.array()?)).ok()?,
            _ => return None,
        };
        Some((kind, self.take(length)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNT: &[u8] = b"\x10x-delivery-countl\0\0\0\0\0\0\0\x02\x0econnector-lostt\x01";

    /// Nested tables or arrays, as a header's value.
    fn nested(levels: usize, kind: u8) -> Vec<u8> {
        (0..levels).fold(Vec::new(), |inner, _| {
            let name: &[u8] = if kind == b'F' && !inner.is_empty() { b"\0" } else { b"" };
            let size = u32::try_from(name.len() + inner.len()).unwrap().to_be_bytes();
            [&[kind], &size[..], name, &inner].concat()
        })
    }

    fn headers(entries: &[&[u8]]) -> Vec<u8> {
        let table = entries.concat();
        [&u32::try_from(table.len()).unwrap().to_be_bytes()[..], &table].concat()
    }

    #[test]
    fn headers_that_are_read_stay_and_nothing_within_another() {
        let clean = [&HEADERS_FLAG.to_be_bytes()[..], &headers(&[COUNT])].concat();
        assert_eq!(kept(&clean), clean);
        for kind in *b"FA" {
            for levels in [1, 3, 20_000] {
                let value = nested(levels, kind);
                let text = b"\x05otherS\0\0\0\x02ab";
                let table = headers(&[b"\x01a", &value, text, COUNT, b"\x10x-delivery-count", &value]);
                assert_eq!(kept(&[&HEADERS_FLAG.to_be_bytes()[..], &table].concat()), clean);
            }
        }
    }

    #[test]
    fn a_message_id_that_is_text_stays_whatever_stands_before_it() {
        let every = 0xFFFC_u16.to_be_bytes();
        let texts = |id: &[u8]| {
            [b"\x01\xFF\x01\xFF".as_slice(), &headers(&[]), b"\x02\x09\x01a\x01b\x01c", id].concat()
        };
        let with = [&(HEADERS_FLAG | MESSAGE_ID_FLAG).to_be_bytes()[..], &headers(&[]), b"\x03j-1"].concat();
        assert_eq!(kept(&[&every[..], &texts(b"\x03j-1")].concat()), with);
        let without = [&HEADERS_FLAG.to_be_bytes()[..], &headers(&[])].concat();
        for id in [&b"\x02\xC3\x28"[..], b"\xFFj", b""] {
            assert_eq!(kept(&[&every[..], &texts(id)].concat()), without);
        }
    }

    #[test]
    fn a_table_is_refused_that_is_deeper_than_it_may_be_or_that_cannot_be_read() {
        for kind in *b"FA" {
            for (levels, is_right) in [(1, true), (4, true), (5, false), (20_000, false)] {
                let table = headers(&[b"\x01a", &nested(levels, kind)]);
                assert_eq!(is_shallow_table(&table, 4), is_right, "{levels}");
            }
        }
        assert!(is_shallow_table(&headers(&[COUNT]), 0));
        for broken in [&b""[..], b"\0\0\0\x09", b"\0\0\0\x02\x01a", b"\0\0\0\x03\x01a?"] {
            assert!(!is_shallow_table(broken, 4), "{broken:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_become_properties_that_stay_as_they_are(bytes: Vec<u8>) {
            let once = kept(&bytes);
            proptest::prop_assert_eq!(kept(&once), once);
        }
    }
}
