//! Judges single effects as they happen, and the whole library on request.

use std::collections::HashMap;

use super::elsewhere::Elsewhere;
use super::marker::{Marker, Record};
use super::{Audit, AuditedAsset, AuditedVersion};
use crate::violation::{Violation, ViolationKind};
use crate::world::{Asset, Maker, Medium, MediumState, Output, StoredFile, World};

/// Judges a new version right before it is added.
pub(crate) fn judge_save(world: &mut World, id: &str, file: &StoredFile) {
    let output = world.outputs.get(&file.sha256).cloned();
    let outputs = world.outputs.clone();
    let Some(asset) = world.asset(id) else { return };
    let opted_out = Marker::parse(asset.marker.as_deref()).opted_out();
    let is_original = output.is_none() && is_original(&asset.id, file, &outputs);
    let verdict = match &output {
        Some(output) => verdict(asset, output, &outputs),
        None if is_original => restore_verdict(asset, file, &outputs, opted_out),
        None => Some(Verdict::Violation(
            ViolationKind::NotWatermarked,
            "the saved file is neither Imatag's nor an original of this asset".to_owned(),
        )),
    };
    let crossed = matches!(verdict, Some(Verdict::Crossed));
    asset.crossed |= crossed;
    if opted_out && !is_original {
        world.violate(ViolationKind::OptOutIgnored, id, "a version was saved");
    }
    match verdict {
        None => {}
        Some(Verdict::Crossed) => {
            world.notes.push(format!("{id}: a person's work fell between the last look and the save"));
        }
        Some(Verdict::Violation(kind, detail)) => world.violate(kind, id, detail),
    }
}

enum Verdict {
    Violation(ViolationKind, String),
    /// The documented race.
    Crossed,
}

/// Whether the file is an original of this asset that was watermarked.
fn is_original(id: &str, file: &StoredFile, outputs: &HashMap<String, Output>) -> bool {
    outputs.values().any(|output| output.asset == id && output.original == file.sha256)
}

/// An original may be restored only over the file that was made from it, and only on an asset that is opted out.
fn restore_verdict(
    asset: &Asset,
    file: &StoredFile,
    outputs: &HashMap<String, Output>,
    opted_out: bool,
) -> Option<Verdict> {
    let violation = |kind, detail: &str| Some(Verdict::Violation(kind, detail.to_owned()));
    let active_hash = active_hash(asset);
    if active_hash == file.sha256 {
        return violation(ViolationKind::DoneTwice, "the original was put back twice");
    }
    if outputs.get(active_hash).is_none_or(|active| active.original != file.sha256) {
        return Some(covered(asset));
    }
    if !opted_out {
        return violation(
            ViolationKind::NotWatermarked,
            "the original was put back on an asset that is not opted out",
        );
    }
    None
}

fn active_hash(asset: &Asset) -> &str {
    let active = asset.active_version().and_then(|version| version.file.as_ref());
    active.map(|file| file.sha256.as_str()).unwrap_or_default()
}

fn verdict(asset: &Asset, output: &Output, outputs: &HashMap<String, Output>) -> Option<Verdict> {
    let violation = |kind, detail: String| Some(Verdict::Violation(kind, detail));
    if output.asset != asset.id && asset.copy_of.as_ref() != Some(&output.asset) {
        return violation(
            ViolationKind::WrongFile,
            format!("the saved file was made from asset {}", output.asset),
        );
    }
    let active_hash = active_hash(asset);
    if output.original == active_hash {
        return None;
    }
    let active = outputs.get(active_hash);
    if active.is_some_and(|active| active.original == output.original) {
        return violation(ViolationKind::DoneTwice, "a second version from the same original".to_owned());
    }
    // In a copy, the file of a newer version of the original replaces that of an older one.
    if asset.copy_of.is_some() && active.is_some_and(|active| active.asset == output.asset) {
        return None;
    }
    Some(covered(asset))
}

/// The verdict on a save over a version that the file was not made from.
fn covered(asset: &Asset) -> Verdict {
    let unseen = asset.last_look.is_none_or(|look| asset.active_change.at > look);
    if asset.active_change.by == Maker::Person && unseen && asset.last_look.is_some() {
        return Verdict::Crossed;
    }
    let detail = format!("version {} was covered by a file not made from it", asset.active);
    Verdict::Violation(ViolationKind::PersonVersionBuried, detail)
}

/// Judges a medium as it is submitted.
pub(crate) fn judge_medium(world: &mut World, medium: &Medium) {
    let id = medium.metadata.get("bynder_media_id").cloned().unwrap_or_default();
    if world.assets.get(&id).is_some_and(|asset| asset.deleted) {
        // Deleted during the upload: the client could detect that only with one more call per asset.
        return;
    }
    let Some(asset) = world.asset(&id) else {
        let detail = format!("medium {} names asset {id:?}, which there is not", medium.id);
        world.violate(ViolationKind::WithoutBynderId, &id, detail);
        return;
    };
    let marker = Marker::parse(asset.marker.as_deref());
    let opted_out = marker.opted_out();
    let copy_of = asset.copy_of.clone();
    let known = marker.records().iter().any(|record| record.watermarked == medium.original.sha256);
    if let Some(original) = copy_of {
        world.violate(ViolationKind::CopyWatermarked, &id, format!("it is a copy of {original}"));
    }
    if opted_out {
        world.violate(ViolationKind::OptOutIgnored, &id, "its file was submitted");
    }
    if known {
        world.violate(
            ViolationKind::WatermarkOfWatermark,
            &id,
            "the marker names the submitted file as watermarked",
        );
    }
}

/// Runs the audit of the whole library.
pub(crate) fn audit(world: &mut World) -> Audit {
    for asset in world.assets.values_mut() {
        asset.settle();
    }
    let mut violations = world.violations.clone();
    let mut media: HashMap<(String, String), usize> = HashMap::new();
    let mut directories: HashMap<String, Vec<String>> = HashMap::new();
    for medium in world.media.values().filter(|medium| matches!(medium.state, MediumState::Working { .. })) {
        let asset = medium.metadata.get("bynder_media_id").cloned().unwrap_or_default();
        directories.entry(asset.clone()).or_default().push(medium.directory.clone());
        *media.entry((asset, medium.original.sha256.clone())).or_default() += 1;
    }
    for ((asset, original), count) in media.iter().filter(|(_, count)| **count > 1) {
        let detail = format!("{count} media of one file {}", &original[..12]);
        violations.push(Violation { kind: ViolationKind::DoneTwice, asset_id: asset.clone(), detail });
    }
    let elsewhere = Elsewhere::of(world);
    let mut assets = Vec::new();
    for asset in world.assets.values() {
        if !asset.deleted {
            violations.extend(judge_asset(asset, &world.outputs, &elsewhere));
        }
        let directories = directories.remove(&asset.id).unwrap_or_default();
        assets.push(audited(asset, &world.outputs, &elsewhere, directories));
    }
    Audit { assets, violations, notes: world.notes.clone() }
}

fn judge_asset(
    asset: &Asset,
    outputs: &HashMap<String, Output>,
    elsewhere: &Elsewhere<'_>,
) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut add = |kind, detail: String| found.push(Violation { kind, asset_id: asset.id.clone(), detail });
    if asset.words.is_public && !asset.baseline.is_public {
        add(ViolationKind::MadePublic, "it was not public".to_owned());
    }
    let words = crate::world::Baseline { is_public: asset.baseline.is_public, ..asset.words.clone() };
    if words != asset.baseline {
        add(ViolationKind::MetadataChanged, format!("{words:?} was {:?}", asset.baseline));
    }
    if asset.planted.outcome == "skipped_unchanged"
        && asset.touched > 0
        && asset.active_change.by == Maker::Seeded
    {
        add(
            ViolationKind::UnneededWork,
            format!("{} requests about an asset whose row says it is done", asset.touched),
        );
    }
    let marker = Marker::parse(asset.marker.as_deref());
    let Some(active) = asset.active_version() else { return found };
    let Some(file) = active.file.as_ref() else { return found };
    let is_named = |record: &&Record| record.version == active.number && record.bytes == file.bytes;
    let named = marker.records().iter().find(is_named);
    match (outputs.get(&file.sha256), named) {
        (None, Some(record))
            if record.original == file.sha256 && elsewhere.held(&asset.id, &file.sha256, outputs) => {}
        (None, Some(_)) => add(
            ViolationKind::UnprotectedMarkedProtected,
            format!("version {} is not an output of Imatag, and the marker names it", active.number),
        ),
        (Some(output), Some(record)) => {
            let right = record.watermarked == file.sha256
                && (record.original == output.original || record.original == record.watermarked);
            if !right {
                add(ViolationKind::MarkerWrong, format!("the record {record} is not about this file"));
            }
        }
        // The next run repairs the asset after the documented race.
        (Some(_), None) if active.maker == Maker::Client && !asset.crossed && marker != Marker::Foreign => {
            add(ViolationKind::MarkerMissing, format!("version {} has no record", active.number));
        }
        (Some(_) | None, None) => {}
    }
    found
}

fn audited(
    asset: &Asset,
    outputs: &HashMap<String, Output>,
    elsewhere: &Elsewhere<'_>,
    directories: Vec<String>,
) -> AuditedAsset {
    let active = active_hash(asset);
    let versions = asset.versions.iter().map(|version| AuditedVersion {
        number: version.number,
        active: version.number == asset.active,
        maker: version.maker,
        made: version.made,
        sha256: version.file.as_ref().map(|file| file.sha256.clone()).unwrap_or_default(),
        bytes: version.file.as_ref().map(|file| file.bytes).unwrap_or_default(),
        watermarked: version.file.as_ref().is_some_and(|file| outputs.contains_key(&file.sha256)),
    });
    AuditedAsset {
        id: asset.id.clone(),
        name: asset.words.name.clone(),
        kind: asset.kind(),
        planted: asset.planted.clone(),
        versions: versions.collect(),
        marker: asset.marker.clone(),
        status: asset.status.clone(),
        link: asset.link.clone(),
        copy_of: asset.copy_of.clone(),
        additional: asset.additional.iter().map(|additional| additional.name.clone()).collect(),
        protected: outputs.contains_key(active) || elsewhere.holds(&asset.id, active, outputs),
        made: elsewhere.made(asset),
        media: directories.len(),
        directories,
        requests: asset.touched,
        crossed: asset.crossed,
        deleted: asset.deleted,
    }
}
