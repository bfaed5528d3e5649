//! Judging the name a file comes back under: the asset's type and extension follow from it.

use axum::extract::multipart::Field;
use axum::http::HeaderValue;
use axum::http::header::CONTENT_DISPOSITION;

use super::ViolationKind;
use crate::options::FileNames;
use crate::world::{Shared, StoredFile, World, kind_of, written_extension};

/// No name of a part is longer.
const LONGEST_NAME: usize = 200;

/// Holds the name of a file that is saved against those of the versions it was made from, or is itself.
pub(crate) fn judge_name(world: &mut World, id: &str, file: &StoredFile, name: &str, told: FileNames) {
    let (source, original) = match world.outputs.get(&file.sha256) {
        Some(output) => (output.asset.clone(), output.original.clone()),
        None => (id.to_owned(), file.sha256.clone()),
    };
    let Some(asset) = world.assets.get(&source) else { return };
    let holds_original = |sha256: Option<&StoredFile>| sha256.is_some_and(|file| file.sha256 == original);
    let names: Vec<&str> = asset
        .versions
        .iter()
        .filter(|version| holds_original(version.file.as_ref()))
        .map(|version| version.file_name.as_str())
        .collect();
    let same_extension = |own: &&str| match told {
        FileNames::Listed | FileNames::WithDownload => written_extension(own) == written_extension(name),
        // The portal's spelling is all that a client can know.
        FileNames::Hidden => written_extension(own).eq_ignore_ascii_case(written_extension(name)),
    };
    let Some(first) = names.first() else { return };
    let detail = format!("{first:?} came back as {name:?}");
    if !names.iter().any(|own| kind_of(own) == kind_of(name)) {
        world.violate(ViolationKind::TypeChanged, id, detail);
    } else if !names.iter().any(same_extension) {
        world.violate(ViolationKind::ExtensionChanged, id, detail);
    }
}

/// Looks at the name of a file in a form as it is written into its header: parsers differ in what ends it.
pub(crate) fn judge_part(shared: &Shared, field: &Field<'_>) {
    let header = field.headers().get(CONTENT_DISPOSITION).map(HeaderValue::as_bytes).unwrap_or_default();
    let header = String::from_utf8_lossy(header);
    let Some((_, name)) = header.split_once("filename=\"") else { return };
    let name = name.strip_suffix('"').unwrap_or(name);
    let is_unsafe = |c: char| c.is_control() || matches!(c, '"' | '/' | '\\' | '\u{2028}'..='\u{202e}');
    if name.contains(is_unsafe) || name.chars().count() > LONGEST_NAME {
        shared.world().violate(ViolationKind::UnsafeName, "", format!("{header:?}"));
    }
}
