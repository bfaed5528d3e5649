//! ICC profiles.

use common::content::Profile;
use sha2::{Digest, Sha256};

/// Maximum length of a profile's name, in characters.
const LONGEST_NAME: usize = 60;

/// Date, flags and ID in the header: they can change while the colours stay the same.
const WITHOUT_MEANING: [std::ops::Range<usize>; 3] = [24..36, 44..48, 84..100];

/// The primaries of sRGB as profiles state them.
const PRIMARIES: [(&[u8; 4], [f64; 3]); 3] = [
    (b"rXYZ", [0.4361, 0.2225, 0.0139]),
    (b"gXYZ", [0.3851, 0.7169, 0.0971]),
    (b"bXYZ", [0.1431, 0.0606, 0.7141]),
];
const CURVES: [&[u8; 4]; 3] = [b"rTRC", b"gTRC", b"bTRC"];
/// The sRGB curve at 0.5.
const HALF: f64 = 0.2140;

/// Covers the rounding in profiles; a plain gamma of 2.2 is further off.
const TOLERANCE: f64 = 0.002;

/// Identifies an ICC profile; an empty slice means that there is none.
pub(super) fn read(icc: &[u8]) -> Profile {
    if icc.is_empty() {
        return Profile::Absent;
    }
    let mut meaning = icc.to_vec();
    for range in WITHOUT_MEANING {
        if let Some(bytes) = meaning.get_mut(range) {
            bytes.fill(0);
        }
    }
    Profile::Icc { name: named(icc, &meaning), is_srgb: is_srgb(icc).unwrap_or(false) }
}

/// A profile's description, with enough of its hash to identify it.
pub(super) fn name(icc: &[u8]) -> String {
    named(icc, icc)
}

fn named(icc: &[u8], hashed: &[u8]) -> String {
    let hash = hex::encode(&Sha256::digest(hashed)[..6]);
    match description(icc) {
        Some(name) => format!("{name} ({hash})"),
        None => hash,
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

fn tag<'a>(icc: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let tags = number(icc, 128)?.min(100) as usize;
    let entry = (0..tags).map(|tag| 132 + tag * 12).find(|at| icc.get(*at..at + 4) == Some(name))?;
    let at = number(icc, entry + 4)? as usize;
    icc.get(at..at.checked_add(number(icc, entry + 8)? as usize)?)
}

/// The profile's description: ASCII in profiles of version 2, UTF-16 in those of version 4.
fn description(icc: &[u8]) -> Option<String> {
    let text = tag(icc, b"desc")?;
    let name = match text.get(..4)? {
        b"desc" => String::from_utf8_lossy(text.get(12..)?).into_owned(),
        b"mluc" => {
            let words = text.get(28..)?.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
            char::decode_utf16(words).map(|letter| letter.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
        }
        _ => return None,
    };
    let name: String = name.chars().take_while(|letter| *letter != '\0').take(LONGEST_NAME).collect();
    let name = name.trim().to_owned();
    (!name.is_empty() && !name.contains(char::is_control)).then_some(name)
}

/// Whether the profile's primaries and curves are those of sRGB, whatever its name. A grey profile has a curve only.
fn is_srgb(icc: &[u8]) -> Option<bool> {
    let near = |found: f64, wanted: f64| (found - wanted).abs() <= TOLERANCE;
    if icc.get(16..20)? == b"GRAY" {
        return Some(near(half(tag(icc, b"kTRC")?)?, HALF));
    }
    for (name, wanted) in PRIMARIES {
        let tag = tag(icc, name)?;
        for (index, wanted) in wanted.into_iter().enumerate() {
            if !near(fixed(tag, 8 + index * 4)?, wanted) {
                return Some(false);
            }
        }
    }
    for name in CURVES {
        if !near(half(tag(icc, name)?)?, HALF) {
            return Some(false);
        }
    }
    Some(icc.get(16..20)? == b"RGB ")
}

/// A signed fixed-point number with 16 fractional bits.
fn fixed(tag: &[u8], at: usize) -> Option<f64> {
    Some(f64::from(number(tag, at)?.cast_signed()) / 65536.0)
}

/// The value of a curve at 0.5.
fn half(curve: &[u8]) -> Option<f64> {
    let short = |at: usize| Some(f64::from(u16::from_be_bytes(curve.get(at..at + 2)?.try_into().ok()?)));
    match curve.get(..4)? {
        b"curv" => match number(curve, 8)? as usize {
            0 => Some(0.5),
            1 => Some(0.5_f64.powf(short(12)? / 256.0)),
            count => {
                let middle = |index: usize| short(index.checked_mul(2)?.checked_add(12)?);
                Some(f64::midpoint(middle((count - 1) / 2)?, middle(count / 2)?) / 65535.0)
            }
        },
        b"para" => {
            let parameter = |index: usize| fixed(curve, 12 + index * 4);
            let power = |base: f64| Some(base.powf(parameter(0)?));
            let scaled = || power(parameter(1)? * 0.5 + parameter(2)?);
            match curve.get(8..10)? {
                [0, 0] => power(0.5),
                [0, 1 | 3] => scaled(),
                [0, 2] => Some(scaled()? + parameter(3)?),
                [0, 4] => Some(scaled()? + parameter(5)?),
                _ => None,
            }
        }
        _ => None,
    }
}
