//! Judges the names of saved files, which determine an asset's type and extension.

use axum::extract::multipart::Field;
use axum::http::HeaderValue;
use axum::http::header::CONTENT_DISPOSITION;

use crate::options::FileNames;
use crate::violation::ViolationKind;
use crate::world::{SandboxState, StoredFile, World, kind_of, written_extension};

/// Maximum length of a file name in a form.
const LONGEST_NAME: usize = 200;

/// Compares the name of a saved file with those of the versions that it was made from, or that it is.
pub(crate) fn judge_name(world: &mut World, id: &str, file: &StoredFile, name: &str, shown: FileNames) {
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
    let same_extension = |own: &&str| match shown {
        FileNames::Listed | FileNames::WithDownload => written_extension(own) == written_extension(name),
        // A client can only know the portal's spelling.
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

/// Judges a file name in the raw header of a form part, because parsers differ in what ends it.
pub(crate) fn judge_part(shared: &SandboxState, field: &Field<'_>) {
    let header = field.headers().get(CONTENT_DISPOSITION).map(HeaderValue::as_bytes).unwrap_or_default();
    let header = String::from_utf8_lossy(header);
    let Some((_, name)) = header.split_once("filename=\"") else { return };
    let name = name.strip_suffix('"').unwrap_or(name);
    let is_unsafe = |c: char| c.is_control() || matches!(c, '"' | '/' | '\\' | '\u{2028}'..='\u{202e}');
    if name.contains(is_unsafe) || name.chars().count() > LONGEST_NAME {
        shared.world().violate(ViolationKind::UnsafeName, "", format!("{header:?}"));
    }
}
