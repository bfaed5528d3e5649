//! HEIC and AVIF: the properties stated in boxes. The pixels are not decoded.

use std::collections::BTreeSet;
use std::io::SeekFrom;

use common::content::{Behind, Picture, View};

use super::boxes::open;
use super::items::{Item, Items};
use super::memory::piece;
use super::{Source, credits, exif, length, profile};

/// Maximum top-level boxes to read, and maximum length of `meta` in bytes; in files from phones it has a few kilobytes.
const MOST_BOXES: usize = 32;
const MOST_BYTES: u64 = 4 << 20;

/// Types of auxiliary items: alpha, and the gain map for bright screens.
const ALPHA: [&[u8]; 2] = [b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha", b"urn:mpeg:hevc:2015:auxid:1"];
const GAIN_MAP: &[u8] = b"urn:com:apple:photo:2020:aux:hdrgainmap";

/// Items without picture data of their own: they are composed of others.
const DERIVED: [&[u8; 4]; 4] = [b"grid", b"iovl", b"iden", b"tmap"];

const NOT_DECODED: &str = "no check decodes HEIC and AVIF";

/// Code points of primaries and transfer that viewers assume if a file states none, and of "unspecified".
const USUAL_PRIMARIES: [u64; 2] = [1, 2];
const USUAL_TRANSFERS: [u64; 3] = [1, 2, 13];

pub(super) fn read(mut file: impl Source, decode: bool) -> Result<Picture, String> {
    let items = items(&mut file)?;
    let primary = items.primary().ok_or("it has no primary picture")?;
    let shown = items.shown();
    for item in &shown {
        if !DERIVED.contains(&&item.kind) && !item.is_there() {
            return Err(format!("the data of its item {} is not in the file", item.id));
        }
    }
    let described = |kind: &[u8; 4], content: &[u8]| {
        items
            .all
            .iter()
            .find(|item| item.kind == *kind && (content.is_empty() || item.content_type == content))
    };
    let mut bytes = |item: Option<&Item>| {
        let place = item.and_then(|item| item.places.first()).cloned()?;
        file.seek(SeekFrom::Start(place.start)).ok()?;
        piece(&mut file, place.end - place.start).ok()
    };
    // The item begins with the offset of the EXIF structure in it.
    let block = bytes(described(b"Exif", b"")).unwrap_or_default();
    let skipped = block.first_chunk().map_or(0, |skipped| u32::from_be_bytes(*skipped) as usize);
    let tags = exif::read(block.get(4..).and_then(|rest| rest.get(skipped..)).unwrap_or_default().to_vec());
    let mut credits = tags.credits;
    credits::of_xmp(&mut credits, &bytes(described(b"mime", b"application/rdf+xml")).unwrap_or_default());
    let icc =
        items.icc(primary).or_else(|| shown.iter().find_map(|item| items.icc(item))).unwrap_or_default();
    let auxiliary = |item: &Item, names: &[&[u8]]| {
        items.property(item, *b"auxC").is_some_and(|content| {
            names.iter().any(|name| content.get(4..).is_some_and(|content| content.starts_with(name)))
        })
    };
    let belonging = items.belonging(*b"auxl", &shown);
    let has_gain_map = items.all.iter().any(|item| &item.kind == b"tmap" || auxiliary(item, &[GAIN_MAP]));
    Ok(Picture {
        orientation: items.orientation(primary),
        bit_depth: shown.iter().filter_map(|item| items.bits(item)).max().unwrap_or(8),
        alpha: items.all.iter().any(|item| belonging.contains(&item.id) && auxiliary(item, &ALPHA)),
        dpi: tags.dpi,
        exif_dpi: None,
        colours: Some(colours(items.points(primary))),
        icc_profile: (!icc.is_empty()).then(|| profile::name(icc)),
        profile: Some(profile::read(icc)),
        credits,
        frames: items.frames(),
        behind: if has_gain_map { BTreeSet::from([Behind::GainMap]) } else { BTreeSet::new() },
        view: decode.then(|| View::Undecodable(NOT_DECODED.to_owned())),
    })
}

/// Width and height as stored.
pub(super) fn pixels(mut file: impl Source) -> Option<(u32, u32)> {
    let items = items(&mut file).ok()?;
    items.size(items.primary()?)
}

fn colours(points: Option<(u64, u64)>) -> String {
    match points {
        Some((primaries, transfer))
            if !USUAL_PRIMARIES.contains(&primaries) || !USUAL_TRANSFERS.contains(&transfer) =>
        {
            format!("RGB, cICP {primaries}/{transfer}")
        }
        Some(_) | None => "RGB".to_owned(),
    }
}

fn items(file: &mut impl Source) -> Result<Items, String> {
    let end = length(file).map_err(|error| error.to_string())?;
    let (mut at, mut is_moving, mut meta) = (0, false, None);
    for _ in 0..MOST_BOXES {
        if at + 8 > end {
            break;
        }
        let (name, content) = open(file, at, end).map_err(|error| error.to_string())?;
        at = content.end;
        is_moving |= &name == b"moov";
        if &name == b"meta" && meta.is_none() {
            if content.end - content.start > MOST_BYTES {
                return Err(format!("its items take more than {} MiB", MOST_BYTES >> 20));
            }
            file.seek(SeekFrom::Start(content.start)).map_err(|error| error.to_string())?;
            meta = Some(piece(file, content.end - content.start).map_err(|error| error.to_string())?);
        }
    }
    Ok(Items::read(&meta.ok_or("it has no box of items")?, end, is_moving))
}
