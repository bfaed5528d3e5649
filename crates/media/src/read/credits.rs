//! Credits (who made a picture, and who owns it) in IPTC and XMP.

use std::collections::{BTreeMap, BTreeSet};

use common::content::Credit;
use roxmltree::{Document, Node, ParsingOptions};
use sha2::{Digest, Sha256};

use super::bounds;

/// The text in each place that can hold a credit.
pub(super) type Credits = BTreeMap<Credit, String>;

const DUBLIN_CORE: &str = "http://purl.org/dc/elements/1.1/";
const XML: &str = "http://www.w3.org/XML/1998/namespace";
const RDF: &str = "http://www.w3.org/1999/02/22-rdf-syntax-ns#";

/// Longer texts, in characters, are kept as their beginning and their hash, so that the facts stay small.
const LONGEST_TEXT: usize = 200;

/// Longer credits, in bytes, are kept as one long text: each message carries the facts of two files.
const LONGEST_CREDIT: usize = 600;

/// An XMP packet has some hundred nodes; this bounds the memory for a hostile one.
const MOST_NODES: u32 = 100_000;

/// The Photoshop resource that holds IPTC.
const IPTC_RESOURCE: u16 = 0x0404;

/// Adds a credit unless it is empty.
pub(super) fn note(credits: &mut Credits, credit: Credit, text: &str) {
    note_all(credits, credit, [shown(text)]);
}

/// Adds a credit of several texts; their order has no meaning.
fn note_all(credits: &mut Credits, credit: Credit, texts: impl IntoIterator<Item = String>) {
    let texts: BTreeSet<_> = texts.into_iter().filter(|text| !text.is_empty()).collect();
    let text = texts.into_iter().collect::<Vec<_>>().join("; ");
    if !text.is_empty() {
        credits.insert(credit, if text.len() <= LONGEST_CREDIT { text } else { shown(&text) });
    }
}

/// A text in the form in which it is kept.
fn shown(text: &str) -> String {
    let text = text.trim_matches(|letter: char| letter.is_ascii_whitespace() || letter == '\0');
    // JSON would take six bytes per control character.
    let plain =
        |text: &str| text.chars().map(|c| if c.is_ascii_control() { ' ' } else { c }).collect::<String>();
    match text.char_indices().nth(LONGEST_TEXT) {
        None => plain(text),
        Some((end, _)) => format!("{}… ({})", plain(&text[..end]), hex::encode(&Sha256::digest(text)[..6])),
    }
}

/// Reads an XMP packet; ignores one that is malformed or too large.
pub(super) fn of_xmp(credits: &mut Credits, packet: &[u8]) {
    if !bounds::is_small_xmp(packet) {
        return;
    }
    let packet = String::from_utf8_lossy(packet);
    let options = ParsingOptions { nodes_limit: MOST_NODES, ..ParsingOptions::default() };
    let Ok(document) = Document::parse_with_options(packet.trim_end_matches('\0').trim(), options) else {
        return;
    };
    for (name, credit) in [("rights", Credit::XmpRights), ("creator", Credit::XmpCreator)] {
        let element = document.descendants().find(|node| node.has_tag_name((DUBLIN_CORE, name)));
        // A simple value may also be an attribute of its description.
        let attribute = || document.descendants().find_map(|node| node.attribute((DUBLIN_CORE, name)));
        match element {
            Some(element) => note_all(credits, credit, listed(element)),
            None => note(credits, credit, attribute().unwrap_or_default()),
        }
    }
}

/// The items of an element's list, each with its language in brackets before it; or its text if it has no list.
fn listed(element: Node<'_, '_>) -> Vec<String> {
    let items = element.descendants().filter(|node| node.has_tag_name((RDF, "li")));
    let items: Vec<_> = items.filter_map(|item| Some((item, shown(item.text()?)))).collect();
    if items.is_empty() {
        return vec![shown(element.text().unwrap_or_default())];
    }
    let marked = |(item, text): (Node<'_, '_>, String)| match item.attribute((XML, "lang")) {
        None | Some("x-default") => text,
        Some(language) => format!("[{}] {text}", shown(&language.to_lowercase())),
    };
    items.into_iter().filter(|(_, text)| !text.is_empty()).map(marked).collect()
}

/// Reads IPTC from Photoshop's resources.
pub(super) fn of_photoshop(credits: &mut Credits, mut resources: &[u8]) {
    while let [b'8', b'B', b'I', b'M', high, low, rest @ ..] = resources {
        // The name, then the content, each preceded by its length and padded to an even length.
        let name = rest.first().map_or(0, |length| (usize::from(*length) + 2) & !1);
        let Some([a, b, c, d, rest @ ..]) = rest.get(name..) else { return };
        let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        let Some(content) = rest.get(..length) else { return };
        if u16::from_be_bytes([*high, *low]) == IPTC_RESOURCE {
            of_iptc(credits, content);
        }
        resources = rest.get(length.next_multiple_of(2)..).unwrap_or_default();
    }
}

/// Reads the datasets of IPTC's Information Interchange Model.
pub(super) fn of_iptc(credits: &mut Credits, mut datasets: &[u8]) {
    let mut bylines = Vec::new();
    while let [0x1C, record, number, high, low, rest @ ..] = datasets {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        // The extended form, for values above 32 KiB, is not used for text.
        let Some(content) = rest.get(..length) else { break };
        match (record, number) {
            (2, 80) => bylines.push(shown(&text(content))),
            (2, 116) => note(credits, Credit::IptcCopyright, &text(content)),
            _ => {}
        }
        datasets = &rest[length..];
    }
    note_all(credits, Credit::IptcByline, bylines);
}

/// Decodes valid UTF-8 as such, and anything else as Latin-1.
fn text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(|byte| char::from(*byte)).collect(),
    }
}
