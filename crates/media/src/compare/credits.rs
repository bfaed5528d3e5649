//! Compares the credits of both files: who made a picture, and who owns it.

use std::collections::BTreeSet;

use common::content::{Credit, Picture};
use common::prose::prose;

use super::Finding;

/// The characters of bytes 128 to 255 in `MacRoman`, and of 128 to 159 in Windows-1252, where the rest is Latin-1.
const MAC_ROMAN: &str = "ÄÅÇÉÑÖÜáàâäãåçéèêëíìîïñóòôöõúùûü†°¢£§•¶ß®©™´¨≠ÆØ∞±≤≥¥µ∂∑∏π∫ªºΩæø¿¡¬√ƒ≈∆«»…\u{A0}ÀÃÕŒœ–—“”‘’÷◊ÿŸ⁄€‹›ﬁﬂ‡·‚„‰ÂÊÁËÈÍÎÏÌÓÔ\u{F8FF}ÒÚÛÙıˆ˜¯˘˙˚¸˝˛ˇ";
const WINDOWS: &str = "€\u{81}‚ƒ„…†‡ˆ‰Š‹Œ\u{8D}Ž\u{8F}\u{90}‘’“”•–—˜™š›œ\u{9D}žŸ";

/// The result must have every credit of the original, in the same place and with the same text; it may have more.
pub(super) fn credits(original: &Picture, result: &Picture) -> Finding {
    let is_kept = |credit: &Credit, text: &String| {
        result.credits.get(credit).is_some_and(|found| is_same(*credit, text, found))
    };
    let lost: Vec<_> = original.credits.iter().filter(|(credit, text)| !is_kept(credit, text)).collect();
    if lost.is_empty() {
        return Finding::Same;
    }
    // A link in a credit may carry a signature, and the sender of the file chooses the text.
    let quoted = |text: &String| format!("{:?}", prose(text));
    let shown = |text: Option<&String>| text.map_or_else(|| "nothing".to_owned(), quoted);
    let (original, result): (Vec<_>, Vec<_>) = lost
        .into_iter()
        .map(|(credit, text)| {
            let found = shown(result.credits.get(credit));
            (format!("{} {}", credit.name(), quoted(text)), format!("{} {found}", credit.name()))
        })
        .unzip();
    Finding::Differs { original: original.join(", "), result: result.join(", ") }
}

fn is_same(credit: Credit, original: &str, result: &str) -> bool {
    match credit {
        Credit::ExifCopyright | Credit::ExifArtist => original == result,
        Credit::IptcCopyright | Credit::IptcByline => {
            let readings = [MAC_ROMAN, WINDOWS].into_iter().filter_map(|table| read_by(table, original));
            let mut readings = readings.chain([original.to_owned()]);
            readings.any(|reading| texts(&reading) == texts(result))
        }
        Credit::XmpCreator => texts(original) == texts(result),
        Credit::XmpRights => texts(original).iter().all(|text| is_said(text, &texts(result))),
    }
}

/// The texts of a credit; their order has no meaning.
fn texts(credit: &str) -> BTreeSet<&str> {
    credit.split("; ").collect()
}

/// Whether the result has this text in its language. A text without a language is the default, for readers of any language
/// without a text. So the default may gain a language, and a text may become the default if its language has no other.
fn is_said(text: &str, texts: &BTreeSet<&str>) -> bool {
    let (language, words) = in_language(text);
    let found = || texts.iter().map(|text| in_language(text));
    let is_spoken = found().any(|(of, _)| of == language);
    found().any(|(of, found)| {
        found == words && (language.is_none() || of == language || (of.is_none() && !is_spoken))
    })
}

/// Splits a text into the language in brackets before it, if any, and the words.
fn in_language(text: &str) -> (Option<&str>, &str) {
    let marked = text.strip_prefix('[').and_then(|rest| rest.split_once("] "));
    marked.map_or((None, text), |(language, words)| (Some(language), words))
}

/// The text in another single-byte encoding; it was read as Latin-1 because the file does not state one.
fn read_by(table: &str, text: &str) -> Option<String> {
    text.chars()
        .map(|letter| match u8::try_from(letter).ok()?.checked_sub(128) {
            None => Some(letter),
            Some(index) => Some(table.chars().nth(index.into()).unwrap_or(letter)),
        })
        .collect()
}
