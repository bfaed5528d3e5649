//! The seeded library: a typical brand's library, with its corner cases.

mod seed;

use std::collections::BTreeMap;
use std::io;
use std::time::Instant;

use jiff::Timestamp;

pub(crate) use seed::seed;

use crate::portal::BRAND;
use crate::world::{
    Asset, Attached, Baseline, Made, Maker, Output, Planted, Restricted, SandboxState, StoredFile, Version,
    hash_file, kind_of,
};
use sample_files::Format;

/// A new asset for the library.
#[derive(Debug, Clone)]
pub struct NewAsset {
    pub name: String,
    /// The name under which its file was uploaded; determines type and extension.
    pub file_name: String,
    /// `None` for an asset whose original is missing.
    pub file: Option<NewFile>,
    /// The value of its hash metaproperty.
    pub marker: Option<String>,
    /// The outcome of a correct run.
    pub planted: Planted,
    pub tags: Vec<String>,
    /// Values of select metaproperties.
    pub properties: BTreeMap<String, Vec<String>>,
    /// Further restrictions of its use.
    pub restricted: Restricted,
    pub attached: Attached,
    /// Whether the token's user may not download it, as with an archived asset without the role.
    pub refuses_download: bool,
    /// Whether Imatag fails on its file every time.
    pub breaks_imatag: bool,
    /// The id of its brand.
    pub brand: String,
    /// Whether its use is restricted.
    pub limited: bool,
    pub orientation: String,
    pub created: Timestamp,
}

/// Where a new asset's file comes from.
#[derive(Debug, Clone)]
pub enum NewFile {
    Bytes(Vec<u8>),
    /// An uncompressed TIFF of about this many bytes in one strip; sparse, so that it takes no space on most disks.
    Large(u64),
    /// An uncompressed TIFF of about this many bytes, below 4 GiB, in strips, so that decoding it takes little memory.
    Striped(u64),
}

impl NewAsset {
    /// An unprotected asset with this file. The file has the asset's name if that suits its format.
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

/// A name for an asset's file: the asset's name if its extension suits the format.
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

pub(crate) fn store(shared: &SandboxState, file: &NewFile, seed: u64) -> io::Result<StoredFile> {
    let path = shared.new_path();
    match file {
        NewFile::Bytes(bytes) => std::fs::write(&path, bytes)?,
        NewFile::Large(bytes) => sample_files::write_large(&path, seed, *bytes)?,
        NewFile::Striped(bytes) => sample_files::write_striped(&path, seed, *bytes)?,
    }
    hash_file(&path)
}

/// Adds an asset to the library; returns its id.
pub(crate) fn add(shared: &SandboxState, new: NewAsset, seed: u64) -> io::Result<String> {
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
    // As if there from the start: indexed long ago, and with the given modification time.
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

/// Watermarks a file outside any run, for assets that are protected from the start.
pub(crate) fn protect(
    shared: &SandboxState,
    original: &StoredFile,
    asset: &str,
    mark: u64,
) -> io::Result<StoredFile> {
    let target = shared.new_path();
    sample_files::watermark(&original.path, &target, mark)
        .map_err(|error| io::Error::other(format!("{error:?}")))?;
    let file = hash_file(&target)?;
    let output = Output { original: original.sha256.clone(), asset: asset.to_owned(), result: None };
    shared.world().outputs.insert(file.sha256.clone(), output);
    Ok(file)
}
