//! The seeded library: what a brand's library looks like, awkward corners included.

mod seed;

use std::collections::BTreeMap;
use std::io;
use std::time::Instant;

use jiff::Timestamp;

pub(crate) use seed::seed;

use crate::media::Format;
use crate::portal::BRAND;
use crate::world::{
    Asset, Attached, Baseline, Made, Maker, Output, Planted, Restricted, Shared, StoredFile, Version,
    hash_file, kind_of,
};

/// A new asset for the library.
#[derive(Debug, Clone)]
pub struct NewAsset {
    /// Its name.
    pub name: String,
    /// The name its file was uploaded under: type and extension follow from it.
    pub file_name: String,
    /// Its file; `None` for an asset whose original is missing.
    pub file: Option<NewFile>,
    /// The value of its hash metaproperty.
    pub marker: Option<String>,
    /// How a right run leaves it.
    pub planted: Planted,
    /// Its tags.
    pub tags: Vec<String>,
    /// Values of select metaproperties.
    pub properties: BTreeMap<String, Vec<String>>,
    /// How its use is restricted besides.
    pub restricted: Restricted,
    /// What people hung on it.
    pub attached: Attached,
    /// Whether the token's user may not download it, as with an archived asset without the role.
    pub refuses_download: bool,
    /// Whether Imatag breaks down over its file, each time.
    pub breaks_imatag: bool,
    /// The id of its brand.
    pub brand: String,
    /// Whether its use is limited.
    pub limited: bool,
    /// The way it lies.
    pub orientation: String,
    /// When it was created.
    pub created: Timestamp,
}

/// Where a new asset's file comes from.
#[derive(Debug, Clone)]
pub enum NewFile {
    /// These bytes.
    Bytes(Vec<u8>),
    /// An uncompressed picture of about so many bytes, in one strip, which takes no space on most disks.
    Large(u64),
    /// An uncompressed picture of about so many bytes, less than 4 GiB, in strips: whoever decodes it holds little of it.
    Striped(u64),
}

impl NewAsset {
    /// An unprotected asset with these bytes as its file, which is named as the asset where that name fits the bytes.
    pub fn new(name: &str, bytes: Vec<u8>) -> Self {
        Self {
            name: name.to_owned(),
            file_name: file_name(name, Format::detect(&bytes)),
            file: Some(NewFile::Bytes(bytes)),
            marker: None,
            planted: Planted::outcome("watermarked"),
            tags: Vec::new(),
            properties: BTreeMap::new(),
            restricted: Restricted::default(),
            attached: Attached::default(),
            refuses_download: false,
            breaks_imatag: false,
            brand: BRAND.to_owned(),
            limited: false,
            orientation: "landscape".to_owned(),
            created: Timestamp::now(),
        }
    }
}

/// A name for an asset's file: the asset's own if that has an extension for such bytes.
pub(crate) fn file_name(name: &str, format: Option<Format>) -> String {
    let wanted = format.map_or("bin", Format::extension);
    let fits = match format {
        Some(_) => kind_of(name) == kind_of(&format!("x.{wanted}")) && name.contains('.'),
        None => {
            name.rsplit_once('.').is_some_and(|(stem, extension)| !stem.is_empty() && !extension.is_empty())
        }
    };
    if fits { name.to_owned() } else { format!("{name}.{wanted}") }
}

pub(crate) fn store(shared: &Shared, file: &NewFile, seed: u64) -> io::Result<StoredFile> {
    let path = shared.new_path();
    match file {
        NewFile::Bytes(bytes) => std::fs::write(&path, bytes)?,
        NewFile::Large(bytes) => crate::media::write_large(&path, seed, *bytes)?,
        NewFile::Striped(bytes) => crate::media::write_striped(&path, seed, *bytes)?,
    }
    hash_file(&path)
}

/// Puts an asset into the library; returns its id.
pub(crate) fn add(shared: &Shared, new: NewAsset, seed: u64) -> io::Result<String> {
    let file = new.file.as_ref().map(|file| store(shared, file, seed)).transpose()?;
    let id = shared.world().new_id();
    let created = crate::world::whole_second(new.created);
    let words = Baseline {
        name: new.name.clone(),
        description: format!("About {}", new.name),
        copyright: "Example Studio".to_owned(),
        tags: new.tags,
        brand: new.brand,
        properties: new.properties,
        is_public: false,
        orientation: new.orientation,
        restricted: Restricted {
            limited: new.limited || new.restricted.limited,
            archived: new.refuses_download || new.restricted.archived,
            ..new.restricted
        },
        attached: new.attached,
    };
    let version = Version { number: 1, file, file_name: new.file_name, maker: Maker::Seeded, made: created };
    let mut asset = Asset {
        id: id.clone(),
        baseline: words.clone(),
        words,
        created,
        modified: created,
        versions: vec![version],
        active: 1,
        active_change: Made { by: Maker::Seeded, at: Instant::now() },
        additional: Vec::new(),
        copy_of: None,
        waiting: Vec::new(),
        waiting_additional: Vec::new(),
        marker: new.marker,
        status: None,
        link: None,
        opted_out_by: None,
        pending: Vec::new(),
        deleted: false,
        refuses_download: new.refuses_download,
        planted: new.planted,
        touched: 0,
        last_look: None,
        seen: None,
        crossed: false,
        indexed: Vec::new(),
    };
    // There from the start: the index knows it, and its modification time is its own.
    let row = asset.row(false);
    let long_ago = Instant::now().checked_sub(shared.options.index_lag * 2).unwrap_or_else(Instant::now);
    asset.indexed.push((long_ago, Some(row)));
    let mut world = shared.world();
    if new.breaks_imatag {
        world.breaks_imatag.insert(id.clone());
    }
    world.assets.insert(id.clone(), asset);
    Ok(id)
}

/// Has Imatag watermark a file outside any run, for assets that are protected from the start.
pub(crate) fn protect(
    shared: &Shared,
    original: &StoredFile,
    asset: &str,
    mark: u64,
) -> io::Result<StoredFile> {
    let target = shared.new_path();
    crate::media::watermark(&original.path, &target, mark)
        .map_err(|error| io::Error::other(format!("{error:?}")))?;
    let file = hash_file(&target)?;
    let output = Output { original: original.sha256.clone(), asset: asset.to_owned() };
    shared.world().outputs.insert(file.sha256.clone(), output);
    Ok(file)
}
