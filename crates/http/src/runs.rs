//! Reduces texts to their letters and digits, which finds a run of a secret whatever its encoding. Pure.

use std::collections::{BTreeSet, HashSet};

/// A match of this many letters and digits of a secret in a row is no coincidence.
pub(super) const SHORTEST_RUN: usize = 12;
/// Nor is a whole secret of at least this length that is shorter than a run.
pub(super) const SHORTEST_WHOLE: usize = 8;
/// A piece of this many letters and digits, as it is in a secret, is no coincidence if it has both: words and numbers have not. Longer
/// mixes are never shown.
const SHORTEST_CODE: usize = 6;
/// The length of a run in a large response, which may also contain many words that secrets are made of.
pub(super) const LONG_RUN: usize = 20;
/// JSON in JSON in a form in a page.
const MOST_LAYERS: usize = 4;

/// Whether the text contains a run of one of the secrets, or the whole of one that is shorter than a run. All are
/// reduced.
pub(super) fn holds_run(text: &[u8], mut secrets: Vec<Vec<u8>>, run: usize) -> bool {
    secrets.retain(|secret| secret.len() >= SHORTEST_WHOLE);
    let lengths: BTreeSet<_> = secrets.iter().map(|secret| secret.len().min(run)).collect();
    lengths.into_iter().any(|length| {
        let runs_of = |run_length| -> HashSet<&[u8]> {
            let of_length = secrets.iter().filter(|secret| secret.len().min(run) == length);
            of_length.flat_map(|secret| secret.windows(run_length)).collect()
        };
        // Every run covers one whole piece of this length, so that few texts need the closer search.
        let piece = length.div_ceil(2);
        let pieces = runs_of(piece);
        text.chunks_exact(piece).any(|there| pieces.contains(there)) && {
            let runs = runs_of(length);
            text.windows(length).any(|there| runs.contains(there))
        }
    })
}

/// The text without the pieces of these secrets that are neither words nor numbers.
pub(super) fn without_codes<'a>(text: &str, secrets: impl Iterator<Item = &'a String>) -> String {
    let pieces = secrets.flat_map(|secret| secret.as_bytes().windows(SHORTEST_CODE));
    let codes: HashSet<_> = pieces.filter(|piece| is_code(piece)).map(<[u8]>::to_ascii_lowercase).collect();
    let mut hidden = vec![false; text.len()];
    for (at, piece) in text.as_bytes().windows(SHORTEST_CODE).enumerate() {
        if codes.contains(&piece.to_ascii_lowercase()) {
            hidden[at..at + SHORTEST_CODE].fill(true);
        }
    }
    let shown = text.char_indices().map(|(at, c)| if hidden[at] { '…' } else { c });
    let mut left: Vec<_> = shown.collect();
    left.dedup_by(|c, before| *c == '…' && c == before);
    left.into_iter().collect()
}

fn is_code(piece: &[u8]) -> bool {
    piece.iter().all(u8::is_ascii_alphanumeric)
        && piece.iter().any(u8::is_ascii_digit)
        && piece.iter().any(u8::is_ascii_alphabetic)
}

/// The letters and digits of a text in lower case, after all layers of escapes.
pub(super) fn reduced(text: &[u8]) -> Vec<u8> {
    let mut plain = text.to_vec();
    for _ in 0..MOST_LAYERS {
        let length = plain.len();
        plain = unescaped(&plain);
        if plain.len() == length {
            break;
        }
    }
    plain.retain(u8::is_ascii_alphanumeric);
    plain.make_ascii_lowercase();
    plain
}

/// Removes one layer of the escapes of JSON, URLs and web pages.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let (mut plain, mut rest) = (Vec::with_capacity(text.len()), text);
    while let [first, behind @ ..] = rest {
        let (byte, length) = match first {
            b'\\' | b'%' | b'&' => escape(*first, behind).unwrap_or((*first, 0)),
            _ => (*first, 0),
        };
        plain.push(byte);
        rest = &behind[length..];
    }
    plain
}

/// The ASCII character that an escape represents, and the escape's length after its first character.
fn escape(first: u8, behind: &[u8]) -> Option<(u8, usize)> {
    let number = |from: usize, to: usize, radix| {
        let digits =
            std::str::from_utf8(behind.get(from..to)?).ok().filter(|digits| !digits.starts_with('+'))?;
        let number = u32::from_str_radix(digits, radix).ok()?;
        Some(u8::try_from(number).ok().filter(u8::is_ascii).unwrap_or(b' '))
    };
    match (first, behind) {
        (b'\\', [b'u', ..]) => Some((number(1, 5, 16)?, 5)),
        (b'\\', [b'x', ..]) => Some((number(1, 3, 16)?, 3)),
        (b'\\', [b'b' | b'f' | b'n' | b'r' | b't', ..]) => Some((b' ', 1)),
        (b'\\', [c, ..]) => Some((*c, 1)),
        (b'%', _) => Some((number(0, 2, 16)?, 2)),
        (_, mark) => {
            let end = mark.iter().take(10).position(|byte| *byte == b';')?;
            let byte = match mark {
                [b'#', b'x' | b'X', ..] => number(2, end, 16)?,
                [b'#', ..] => number(1, end, 10)?,
                [b'a', b'm', b'p', b';', ..] => b'&',
                [b's', b'o', b'l', b';', ..] => b'/',
                [b'c', b'o', b'l', b'o', b'n', b';', ..] => b':',
                [b'q', b'u', b'e', b's', b't', b';', ..] => b'?',
                [b'e', b'q', b'u', b'a', b'l', b's', b';', ..] => b'=',
                name if name[..end].iter().all(u8::is_ascii_alphanumeric) => b' ',
                _ => return None,
            };
            Some((byte, end + 1))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_found_wherever_it_begins_in_text_and_secret() {
        let secret = reduced(b"abcdefghijklmnopqrstuvwxyz");
        for (run, least) in [(SHORTEST_RUN, 12), (LONG_RUN, 20), (11, 11)] {
            for (before, from) in (0..13).flat_map(|before| (0..=26 - least).map(move |from| (before, from)))
            {
                let text =
                    |length| ["-0".repeat(before).as_bytes(), &secret[from..from + length], b"000"].concat();
                let finds = |length| holds_run(&reduced(&text(length)), vec![secret.clone()], run);
                assert!(finds(least) && !finds(least - 1), "{run} {before} {from}");
            }
        }
        let short = |text: &[u8], secret: &[u8]| holds_run(text, vec![secret.to_vec()], SHORTEST_RUN);
        assert!(short(b"00abcdefgh00", b"abcdefgh") && !short(b"00abcdefg00", b"abcdefg"));
    }

    #[test]
    fn a_text_is_reduced_through_four_layers_of_escapes() {
        for (text, wanted) in [
            ("A-b_1 é", "ab1"),
            (r"\u0041\x42\/\n\\u0043", "abc"),
            ("%41%2542%252543", "abc"),
            ("&#65;&#x42;&amp;#67;&eacute;&copy;d", "abcd"),
            ("100% & more \\", "100more"),
            ("%zz%4&#;&;&#x;\\u00", "zz4xu00"),
        ] {
            assert_eq!(String::from_utf8(reduced(text.as_bytes())).unwrap(), wanted, "{text}");
        }
    }
}
