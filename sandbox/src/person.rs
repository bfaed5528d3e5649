//! Changes that a person makes in the library.

use std::io;
use std::time::Instant;

use jiff::Timestamp;
use serde::Deserialize;

use crate::library::{NewAsset, NewFile, file_name, store};
use crate::portal::add_version;
use crate::world::{Asset, Made, Maker, SandboxState, Version, whole_second};
use sample_files::{Format, file};

/// A person's changes to an asset's metadata.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Edit {
    pub name: Option<String>,
    pub description: Option<String>,
    pub tags: Option<Vec<String>>,
    pub archived: Option<bool>,
    /// Whether the token's user may not download it.
    pub refuses_download: Option<bool>,
    /// The text of the hash metaproperty; empty to clear it.
    pub marker: Option<String>,
}

/// A new version by a person: uploads a small JPEG unless a field says otherwise.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NewVersion {
    /// Activates this existing version instead of uploading.
    pub restore: Option<u32>,
    /// Seed of the uploaded picture.
    pub seed: Option<u64>,
    /// Uploads a TIFF of about this many bytes.
    pub large: Option<u64>,
    /// Uploads these bytes, with a name that suits them.
    #[serde(skip)]
    pub bytes: Option<Vec<u8>>,
}

/// A new asset by a person: a small JPEG.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewPicture {
    name: String,
}

/// There is no such asset or version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoSuchThing;

fn with<T>(shared: &SandboxState, id: &str, work: impl FnOnce(&mut Asset) -> T) -> Result<T, NoSuchThing> {
    let mut world = shared.world();
    // Approvers also see hidden assets.
    let asset = world.assets.get_mut(id).filter(|asset| !asset.deleted).ok_or(NoSuchThing)?;
    asset.settle();
    let value = work(asset);
    asset.changed();
    Ok(value)
}

pub(crate) fn edit(shared: &SandboxState, id: &str, edit: Edit) -> Result<(), NoSuchThing> {
    with(shared, id, |asset| {
        if let Some(marker) = edit.marker {
            asset.marker = Some(marker).filter(|marker| !marker.is_empty());
            asset.opted_out_by = Some(Maker::Person);
        }
        asset.refuses_download = edit.refuses_download.unwrap_or(asset.refuses_download);
        // A person's text is the new baseline, which clients must keep.
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

/// Adds an asset; returns its id.
pub(crate) fn add(shared: &SandboxState, new: &NewPicture) -> io::Result<String> {
    let seed = rand::random();
    crate::library::add(shared, NewAsset::new(&new.name, file(Format::Jpeg, seed, 150, 100)), seed)
}

pub(crate) fn version(
    shared: &SandboxState,
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

/// Approves everything that awaits approval.
pub(crate) fn approve(shared: &SandboxState, id: &str) -> Result<(), NoSuchThing> {
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

/// Rejects everything that awaits approval.
pub(crate) fn turn_down(shared: &SandboxState, id: &str) -> Result<(), NoSuchThing> {
    with(shared, id, |asset| {
        asset.waiting.clear();
        asset.waiting_additional.clear();
    })
}

pub(crate) fn delete(shared: &SandboxState, id: &str) -> Result<(), NoSuchThing> {
    with(shared, id, |asset| asset.deleted = true)
}
