//! A person at work in the library, beside the client.

use std::io;
use std::time::Instant;

use jiff::Timestamp;
use serde::Deserialize;

use crate::library::{NewFile, file_name, store};
use crate::media::{Format, file};
use crate::portal::add_version;
use crate::world::{Asset, Made, Maker, Shared, Version, whole_second};

/// What a person changes about an asset's words.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Edit {
    /// A new name.
    pub name: Option<String>,
    /// A new description.
    pub description: Option<String>,
    /// New tags.
    pub tags: Option<Vec<String>>,
    /// Into the archive, or out of it.
    pub archived: Option<bool>,
    /// Takes the right to download it from the token's user, or gives it.
    pub refuses_download: Option<bool>,
    /// Another text in the hash metaproperty; empty to clear it.
    pub marker: Option<String>,
}

/// What a person does to an asset's versions.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NewVersion {
    /// Makes this existing version the active one, instead of uploading.
    pub restore: Option<u32>,
    /// Decides the picture that is uploaded.
    pub seed: Option<u64>,
    /// Uploads a TIFF of about so many bytes instead of a small JPEG.
    pub large: Option<u64>,
    /// Uploads these bytes instead, under a name that fits them.
    #[serde(skip)]
    pub bytes: Option<Vec<u8>>,
}

/// There is no such asset or version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoSuchThing;

fn with<T>(shared: &Shared, id: &str, work: impl FnOnce(&mut Asset) -> T) -> Result<T, NoSuchThing> {
    let mut world = shared.world();
    // People who approve see what others do not see yet.
    let asset = world.assets.get_mut(id).filter(|asset| !asset.deleted).ok_or(NoSuchThing)?;
    asset.settle();
    let value = work(asset);
    asset.changed();
    Ok(value)
}

pub(crate) fn edit(shared: &Shared, id: &str, edit: Edit) -> Result<(), NoSuchThing> {
    with(shared, id, |asset| {
        if let Some(marker) = edit.marker {
            asset.marker = Some(marker).filter(|marker| !marker.is_empty());
            asset.opted_out_by = Some(Maker::Person);
        }
        asset.refuses_download = edit.refuses_download.unwrap_or(asset.refuses_download);
        // What a person writes is what has to stay.
        for words in [&mut asset.words, &mut asset.baseline] {
            words.restricted.archived = edit.archived.unwrap_or(words.restricted.archived);
            if let Some(name) = &edit.name {
                words.name.clone_from(name);
            }
            if let Some(description) = &edit.description {
                words.description.clone_from(description);
            }
            if let Some(tags) = &edit.tags {
                words.tags.clone_from(tags);
            }
        }
    })
}

pub(crate) fn version(
    shared: &Shared,
    id: &str,
    version: &NewVersion,
) -> io::Result<Result<u32, NoSuchThing>> {
    let change = || Made { by: Maker::Person, at: Instant::now() };
    if let Some(number) = version.restore {
        let restored = with(shared, id, |asset| {
            let exists = asset.versions.iter().any(|version| version.number == number);
            if exists && asset.active != number {
                asset.active = number;
                asset.active_change = change();
            }
            exists
        });
        return Ok(restored.and_then(|exists| if exists { Ok(number) } else { Err(NoSuchThing) }));
    }
    let seed = version.seed.unwrap_or_else(rand::random);
    let (new, name) = match (&version.bytes, version.large) {
        (Some(bytes), _) => {
            (NewFile::Bytes(bytes.clone()), file_name(&format!("by hand {seed}"), Format::detect(bytes)))
        }
        (None, Some(bytes)) => (NewFile::Striped(bytes), format!("by hand {seed}.tif")),
        (None, None) => (NewFile::Bytes(file(Format::Jpeg, seed, 150, 100)), format!("by hand {seed}.jpg")),
    };
    let stored = store(shared, &new, seed)?;
    Ok(with(shared, id, |asset| {
        let number = asset.top() + 1;
        let made = whole_second(Timestamp::now());
        asset.versions.push(Version {
            number,
            file: Some(stored),
            file_name: name,
            maker: Maker::Person,
            made,
        });
        asset.active = number;
        asset.active_change = change();
        number
    }))
}

/// Approves whatever waits for it.
pub(crate) fn approve(shared: &Shared, id: &str) -> Result<(), NoSuchThing> {
    with(shared, id, |asset| {
        for (file, name) in std::mem::take(&mut asset.waiting) {
            add_version(asset, file, name);
        }
        let additional = std::mem::take(&mut asset.waiting_additional);
        if !additional.is_empty() {
            asset.additional.extend(additional);
            asset.changed();
        }
    })
}

/// Refuses whatever waits for approval.
pub(crate) fn turn_down(shared: &Shared, id: &str) -> Result<(), NoSuchThing> {
    with(shared, id, |asset| {
        asset.waiting.clear();
        asset.waiting_additional.clear();
    })
}

pub(crate) fn delete(shared: &Shared, id: &str) -> Result<(), NoSuchThing> {
    with(shared, id, |asset| asset.deleted = true)
}
