//! The seeded assets: mostly unprotected pictures, with every special case once in thirty.

use std::cmp::Ordering;
use std::io;

use jiff::{SignedDuration, Timestamp};
use md5::{Digest, Md5};

use super::{NewAsset, NewFile, add, protect};
use crate::portal::SECOND_BRAND;
use crate::world::{Maker, Planted, SandboxState, Version, whole_second};
use sample_files::{Format, file};

/// Names that have broken programs.
const AWKWARD: [&str; 16] = [
    "Été à la plage “2024”.jpg",
    "two  spaces.png",
    "quote's & <b>bold</b>.jpg",
    "path/with/slashes.tif",
    "no extension",
    "..hidden.jpg",
    "日本の風景.png",
    "percent%20encoded.jpg",
    "Brand guide 2.0",
    "Acme Inc.",
    "Fig. 3",
    "logo.final.v3",
    "Mr. X",
    "photo.jpeg",
    "SCAN.JPG",
    "Пейзаж весной.tiff",
];

/// The special case at this position of each thirty assets.
fn special(place: usize) -> Option<Special> {
    Some(match place {
        3 => Special::Protected,
        5 => Special::ProtectedElsewhere,
        7 => Special::OutputWithoutMarker,
        9 => Special::Legacy,
        11 => Special::Restored,
        13 => Special::OptedOut,
        15 => Special::Foreign,
        17 => Special::Empty,
        19 => Special::Missing,
        21 => Special::Unsupported,
        23 => Special::Refused,
        25 => Special::SeveralVersions,
        _ => return None,
    })
}

#[derive(Clone, Copy)]
enum Special {
    Protected,
    ProtectedElsewhere,
    OutputWithoutMarker,
    Legacy,
    Restored,
    OptedOut,
    Foreign,
    Empty,
    Missing,
    Unsupported,
    Refused,
    SeveralVersions,
}

pub(crate) fn seed(shared: &SandboxState) -> io::Result<()> {
    let count = shared.options.assets;
    // Creation times are spread over the past, with several assets in some seconds.
    let start = whole_second(Timestamp::now() - SignedDuration::from_hours(24 * 30));
    for number in 0..count {
        let seed = shared.options.seed.wrapping_mul(1_000_003).wrapping_add(number as u64);
        let created = start + SignedDuration::from_secs((number / 3 * 7) as i64);
        let format = match number % 10 {
            0..=4 => Format::Jpeg,
            5 | 6 => Format::Png,
            7 | 8 => Format::Tiff,
            _ => Format::Mp4,
        };
        plant(shared, number, seed, created, format)?;
    }
    Ok(())
}

fn plant(
    shared: &SandboxState,
    number: usize,
    seed: u64,
    created: Timestamp,
    format: Format,
) -> io::Result<()> {
    // Special cases need a picture.
    let format = if special(number % 30).is_some() && format == Format::Mp4 { Format::Jpeg } else { format };
    let (width, height) = [(160, 120), (120, 160), (240, 135), (64, 64)][number % 4];
    let bytes = file(format, seed, width, height);
    let name = match AWKWARD.get(number % 37) {
        Some(name) => format!("{number} {name}"),
        None => format!("{number:04} landscape.{}", format.extension()),
    };
    let mut new = NewAsset { created, ..NewAsset::new(&name, bytes) };
    new.tags =
        vec!["landscape".to_owned(), if number.is_multiple_of(2) { "spring" } else { "autumn" }.to_owned()];
    let orientation = match width.cmp(&height) {
        Ordering::Greater => "landscape",
        Ordering::Less => "portrait",
        Ordering::Equal => "square",
    };
    orientation.clone_into(&mut new.orientation);
    new.limited = number.is_multiple_of(7);
    if number.is_multiple_of(4) {
        SECOND_BRAND.clone_into(&mut new.brand);
    }
    let kind = if format == Format::Mp4 { "Film" } else { "Photo" };
    new.properties.insert("Asset_Type".to_owned(), vec![kind.to_owned()]);
    if number.is_multiple_of(5) {
        new.properties.insert("Country".to_owned(), vec!["France".to_owned(), "Côte d'Ivoire".to_owned()]);
    }
    match special(number % 30) {
        None => add(shared, new, seed).map(|_| ()),
        Some(special) => plant_special(shared, special, new, seed),
    }
}

fn plant_special(shared: &SandboxState, special: Special, mut new: NewAsset, seed: u64) -> io::Result<()> {
    match special {
        Special::Protected
        | Special::ProtectedElsewhere
        | Special::OutputWithoutMarker
        | Special::Restored => {
            return plant_protected(shared, special, new, seed);
        }
        Special::SeveralVersions => {
            let id = add(shared, new, seed)?;
            let bytes = file(Format::Jpeg, seed ^ 0xABCD_0000, 200, 100);
            return push_version(shared, &id, &NewFile::Bytes(bytes), true);
        }
        Special::Legacy => {
            if let Some(NewFile::Bytes(bytes)) = &new.file {
                new.marker = Some(hex::encode(Md5::digest(bytes)));
            }
        }
        Special::OptedOut => {
            new.marker = Some("opted-out; ".to_owned());
            new.planted = Planted::outcome("opted_out");
        }
        Special::Foreign => {
            new.marker = Some("see ticket 4711".to_owned());
            new.planted = Planted::failed("marker");
        }
        Special::Empty => {
            new.file = Some(NewFile::Bytes(Vec::new()));
            new.planted = Planted::failed("no_original");
        }
        Special::Missing => {
            new.file = None;
            new.planted = Planted::failed("no_original");
        }
        Special::Unsupported => {
            new.file = Some(NewFile::Bytes(file(Format::Wav, seed, 0, 0)));
            new.planted = Planted::failed("unsupported");
        }
        Special::Refused => {
            new.refuses_download = true;
            new.planted = Planted::failed("permission");
        }
    }
    add(shared, new, seed).map(|_| ())
}

fn plant_protected(shared: &SandboxState, special: Special, new: NewAsset, seed: u64) -> io::Result<()> {
    let id = add(shared, new, seed)?;
    let original = shared.world().assets.get(&id).and_then(|asset| asset.active_version()?.file.clone());
    let Some(original) = original else { return Ok(()) };
    let output = protect(shared, &original, &id, seed)?;
    let mut world = shared.world();
    let Some(asset) = world.assets.get_mut(&id) else { return Ok(()) };
    let record = |version: u32| format!("{} {} v{version} {}", original.sha256, output.sha256, output.bytes);
    let second = Version {
        number: 2,
        file: Some(output.clone()),
        file_name: asset.versions[0].file_name.clone(),
        maker: Maker::Seeded,
        made: asset.created,
    };
    let (marker, planted) = match special {
        Special::Restored => {
            asset.versions.push(second);
            (Some(record(2)), Planted::outcome("watermarked"))
        }
        Special::OutputWithoutMarker => {
            asset.versions.push(second);
            asset.active = 2;
            (None, Planted::outcome("already_protected"))
        }
        Special::ProtectedElsewhere => {
            // As if a person had duplicated an asset: the same file, with the other asset's record.
            asset.versions[0].file = Some(output.clone());
            (Some(record(2)), Planted::outcome("already_protected"))
        }
        _ => {
            asset.versions.push(second);
            asset.active = 2;
            (Some(record(2)), Planted::outcome("skipped_unchanged"))
        }
    };
    asset.marker = marker;
    asset.planted = planted;
    reindex(asset);
    Ok(())
}

/// Adds a version, as if it had been there from the start.
fn push_version(shared: &SandboxState, id: &str, file: &NewFile, active: bool) -> io::Result<()> {
    let stored = super::store(shared, file, 0)?;
    let mut world = shared.world();
    let Some(asset) = world.assets.get_mut(id) else { return Ok(()) };
    let number = asset.top() + 1;
    let file_name = super::file_name(&asset.words.name, stored.format);
    let made = asset.created;
    asset.versions.push(Version { number, file: Some(stored), file_name, maker: Maker::Seeded, made });
    if active {
        asset.active = number;
    }
    reindex(asset);
    Ok(())
}

fn reindex(asset: &mut crate::world::Asset) {
    let row = asset.row(false);
    if let Some(last) = asset.indexed.last_mut() {
        last.1 = Some(row);
    }
}
