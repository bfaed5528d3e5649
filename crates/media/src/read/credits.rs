//! Who made a picture and who owns it, as IPTC and XMP say it.

use std::collections::{BTreeMap, BTreeSet};

use common::content::Credit;
use roxmltree::{Document, Node, ParsingOptions};
use sha2::{Digest, Sha256};

use super::bounds;

/// What each place says.
pub(super) type Credits = BTreeMap<Credit, String>;

const DUBLIN_CORE: &str = "http://purl.org/dc/elements/1.1/";
const XML: &str = "http://www.w3.org/XML/1998/namespace";
const RDF: &str = "http://www.w3.org/1999/02/22-rdf-syntax-ns#";

/// Longer texts are remembered by their beginning and their hash, so that the facts stay small.
const LONGEST_TEXT: usize = 200;

/// More bytes of one credit are remembered as one long text: the facts of two files travel in each message.
const LONGEST_CREDIT: usize = 600;

/// A packet of XMP has some hundred nodes; a hostile one is not worth its memory.
const MOST_NODES: u32 = 100_000;

/// The resource of Photoshop that holds IPTC.
const IPTC_RESOURCE: u16 = 0x0404;

/// Notes a credit, unless it says nothing.
pub(super) fn note(credits: &mut Credits, credit: Credit, text: &str) {
    note_all(credits, credit, [shown(text)]);
}

/// Notes a credit of several texts, whose order means nothing.
fn note_all(credits: &mut Credits, credit: Credit, texts: impl IntoIterator<Item = String>) {
    let texts: BTreeSet<_> = texts.into_iter().filter(|text| !text.is_empty()).collect();
    let text = texts.into_iter().collect::<Vec<_>>().join("; ");
    if !text.is_empty() {
        credits.insert(credit, if text.len() <= LONGEST_CREDIT { text } else { shown(&text) });
    }
}

/// A text as it is remembered.
fn shown(text: &str) -> String {
    let text = text.trim_matches(|letter: char| letter.is_ascii_whitespace() || letter == '\0');
    // JSON takes six bytes for a control character.
    let plain =
        |text: &str| text.chars().map(|c| if c.is_ascii_control() { ' ' } else { c }).collect::<String>();
    match text.char_indices().nth(LONGEST_TEXT) {
        None => plain(text),
        Some((end, _)) => format!("{}… ({})", plain(&text[..end]), hex::encode(&Sha256::digest(text)[..6])),
    }
}

/// Reads a packet of XMP; one that is not well formed or too large says nothing.
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
        // A simple value may also stand as an attribute of its description.
        let attribute = || document.descendants().find_map(|node| node.attribute((DUBLIN_CORE, name)));
        match element {
            Some(element) => note_all(credits, credit, listed(element)),
            None => note(credits, credit, attribute().unwrap_or_default()),
        }
    }
}

/// The items of a list, or the text of an element without one; the language of an item stands in brackets before it.
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

/// Reads the IPTC among Photoshop's resources.
pub(super) fn of_photoshop(credits: &mut Credits, mut resources: &[u8]) {
    while let [b'8', b'B', b'I', b'M', high, low, rest @ ..] = resources {
        // A name with its length in front, and the content behind its own, both padded to even lengths.
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

/// Reads the datasets of IPTC's information interchange model.
pub(super) fn of_iptc(credits: &mut Credits, mut datasets: &[u8]) {
    let mut bylines = Vec::new();
    while let [0x1C, record, number, high, low, rest @ ..] = datasets {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        // The extended form, for more than 32 KiB, holds no text.
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

/// UTF-8 where it is that, else the old Latin-1.
fn text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(|byte| char::from(*byte)).collect(),
    }
}
