//! Who made a picture and who owns it, in both files.

use common::content::{Credit, Picture};

use super::Finding;

/// What the bytes from 128 on mean in `MacRoman`, and those from 128 to 159 in Windows-1252.
const MAC_ROMAN: &str = "ÄÅÇÉÑÖÜáàâäãåçéèêëíìîïñóòôöõúùûü†°¢£§•¶ß®©™´¨≠ÆØ∞±≤≥¥µ∂∑∏π∫ªºΩæø¿¡¬√ƒ≈∆«»…\u{A0}ÀÃÕŒœ–—“”‘’÷◊ÿŸ⁄€‹›ﬁﬂ‡·‚„‰ÂÊÁËÈÍÎÏÌÓÔ\u{F8FF}ÒÚÛÙıˆ˜¯˘˙˚¸˝˛ˇ";
const WINDOWS: &str = "€\u{81}‚ƒ„…†‡ˆ‰Š‹Œ\u{8D}Ž\u{8F}\u{90}‘’“”•–—˜™š›œ\u{9D}žŸ";

/// Every credit of the original stands in the result, where it stood and as it was; more may stand there.
pub(super) fn credits(original: &Picture, result: &Picture) -> Finding {
    let is_kept = |credit: &Credit, text: &String| {
        result.credits.get(credit).is_some_and(|found| is_same(*credit, text, found))
    };
    let lost: Vec<_> = original.credits.iter().filter(|(credit, text)| !is_kept(credit, text)).collect();
    if lost.is_empty() {
        return Finding::Same;
    }
    let shown = |text: Option<&String>| text.map_or_else(|| "nothing".to_owned(), |text| format!("{text:?}"));
    let (original, result): (Vec<_>, Vec<_>) = lost
        .into_iter()
        .map(|(credit, text)| {
            let found = shown(result.credits.get(credit));
            (format!("{} {text:?}", credit.name()), format!("{} {found}", credit.name()))
        })
        .unzip();
    Finding::Differs { original: original.join(", "), result: result.join(", ") }
}

fn is_same(credit: Credit, original: &str, result: &str) -> bool {
    let is_iptc = matches!(credit, Credit::IptcCopyright | Credit::IptcByline);
    original == result
        || is_iptc
            && [MAC_ROMAN, WINDOWS].iter().any(|table| read_by(table, original).as_deref() == Some(result))
}

/// The text in another alphabet of single bytes, where it was read as Latin-1 for want of a statement.
fn read_by(table: &str, text: &str) -> Option<String> {
    text.chars()
        .map(|letter| match u8::try_from(letter).ok()?.checked_sub(128) {
            None => Some(letter),
            Some(index) => Some(table.chars().nth(index.into()).unwrap_or(letter)),
        })
        .collect()
}
