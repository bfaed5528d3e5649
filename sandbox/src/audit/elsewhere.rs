//! Judges watermarked files outside an asset's versions: copies and additional files.

use std::collections::HashMap;

use super::marker::Marker;
use crate::violation::ViolationKind;
use crate::world::{Asset, Baseline, Maker, Output, StoredFile, World};

/// Judges a new asset right before it is added, and records of which asset it is a copy.
pub(crate) fn judge_copy(world: &mut World, copy: &mut Asset) {
    let Some(file) = copy.active_version().and_then(|version| version.file.clone()) else { return };
    let Some(output) = world.outputs.get(&file.sha256).cloned() else {
        return world.violate(
            ViolationKind::NotWatermarked,
            &copy.id,
            "the new asset's file is not Imatag's",
        );
    };
    copy.copy_of = Some(output.asset.clone());
    let twin =
        world.assets.values().any(|asset| !asset.deleted && asset.copy_of.as_ref() == Some(&output.asset));
    let untied = world.asset(&output.asset).is_some_and(|source| source.opted_out_by == Some(Maker::Person));
    if twin && untied {
        // The documented race.
        world
            .notes
            .push(format!("{}: a person's text took the place of what tied it to its copy", output.asset));
    } else if twin {
        world.violate(ViolationKind::TwoCopies, &output.asset, format!("{} is another copy", copy.id));
    }
    let marker = Marker::parse(copy.marker.as_deref());
    if !marker.records().iter().any(|record| record.version == 1 && record.bytes == file.bytes) {
        world.violate(
            ViolationKind::MarkerMissing,
            &copy.id,
            "a copy without its record from the first moment",
        );
    }
    let Some(source) = world.asset(&output.asset) else { return };
    // The portal derives it from the file, and a watermark does not change it.
    for words in [&mut copy.words, &mut copy.baseline] {
        words.orientation.clone_from(&source.words.orientation);
    }
    let words = source.seen.clone().unwrap_or_else(|| source.words.clone());
    if Marker::parse(source.marker.as_deref()).opted_out() && source.seen.is_none() {
        world.violate(ViolationKind::OptOutIgnored, &output.asset, "it was copied");
    }
    let now = jiff::Timestamp::now();
    let restricted = |words: &Baseline| {
        let mut restricted = words.restricted.clone();
        // A publication date in the past is no restriction.
        restricted.dates.retain(|name, time| {
            name != "datePublished" || time.parse::<jiff::Timestamp>().is_ok_and(|time| time > now)
        });
        restricted
    };
    if restricted(&words) != restricted(&copy.words) {
        let detail = format!("{:?} became {:?}", words.restricted, copy.words.restricted);
        world.violate(ViolationKind::UnrestrictedCopy, &copy.id, detail);
    }
    if copy.words.is_public && !words.is_public {
        world.violate(ViolationKind::MadePublic, &copy.id, "its original is not");
    }
    let plain = |words: &Baseline| Baseline {
        restricted: copy.words.restricted.clone(),
        // Not copied, as documented.
        attached: copy.words.attached.clone(),
        is_public: false,
        ..words.clone()
    };
    if plain(&words) != plain(&copy.words) {
        let detail = format!("{:?} became {:?}", words, copy.words);
        world.violate(ViolationKind::MetadataChanged, &copy.id, detail);
    }
}

/// Judges an additional file right before it is added.
pub(crate) fn judge_additional(world: &mut World, id: &str, file: &StoredFile) {
    let output = world.outputs.get(&file.sha256).cloned();
    let Some(asset) = world.asset(id) else { return };
    let there = asset.additional.iter().any(|additional| additional.file.sha256 == file.sha256);
    // The client cannot know of an opt-out after its last read.
    let opted_out = Marker::parse(asset.marker.as_deref()).opted_out()
        && asset.last_look.is_none_or(|look| asset.active_change.at < look)
        && asset.opted_out_by != Some(Maker::Person);
    let found = match output {
        None => Some((ViolationKind::NotWatermarked, "the additional file is not Imatag's".to_owned())),
        Some(output) if output.asset != id => {
            Some((ViolationKind::WrongFile, format!("it was made from asset {}", output.asset)))
        }
        Some(_) if there => Some((ViolationKind::AdditionalTwice, file.sha256[..12].to_owned())),
        Some(_) if opted_out => Some((ViolationKind::OptOutIgnored, "a file was added".to_owned())),
        Some(_) => None,
    };
    if let Some((kind, detail)) = found {
        world.violate(kind, id, detail);
    }
}

/// Each asset's watermarked files outside its own versions.
pub(super) struct Elsewhere<'a> {
    /// Files by source asset.
    files: HashMap<&'a str, Vec<&'a StoredFile>>,
    /// Files of deleted copies, by source asset.
    deleted: HashMap<&'a str, Vec<&'a StoredFile>>,
    /// Number of versions that a client made in copies, by source asset.
    made: HashMap<&'a str, usize>,
}

impl<'a> Elsewhere<'a> {
    pub(super) fn of(world: &'a World) -> Self {
        let mut elsewhere = Self { files: HashMap::new(), deleted: HashMap::new(), made: HashMap::new() };
        for asset in world.assets.values() {
            for additional in &asset.additional {
                elsewhere.files.entry(&asset.id).or_default().push(&additional.file);
            }
            let Some(source) = asset.copy_of.as_deref() else { continue };
            let made = asset.versions.iter().filter(|version| version.maker == Maker::Client);
            *elsewhere.made.entry(source).or_default() += made.count() + asset.waiting.len();
            let active = asset.active_version().and_then(|version| version.file.as_ref());
            // A deleted copy existed when the marker was written.
            let files = if asset.deleted { &mut elsewhere.deleted } else { &mut elsewhere.files };
            files.entry(source).or_default().extend(active);
        }
        elsewhere
    }

    /// Whether a watermarked file made from this original of the asset exists.
    pub(super) fn holds(&self, asset: &str, original: &str, outputs: &HashMap<String, Output>) -> bool {
        any(self.files.get(asset), original, outputs)
    }

    /// Whether it exists, or did until a person deleted the copy.
    pub(super) fn held(&self, asset: &str, original: &str, outputs: &HashMap<String, Output>) -> bool {
        self.holds(asset, original, outputs) || any(self.deleted.get(asset), original, outputs)
    }

    /// Number of versions, copies and additional files that a client made of this asset.
    pub(super) fn made(&self, asset: &Asset) -> usize {
        let versions = asset.versions.iter().filter(|version| version.maker == Maker::Client).count();
        versions
            + asset.waiting.len()
            + asset.waiting_additional.len()
            + asset.additional.len()
            + self.made.get(asset.id.as_str()).copied().unwrap_or_default()
    }
}

fn any(files: Option<&Vec<&StoredFile>>, original: &str, outputs: &HashMap<String, Output>) -> bool {
    let made_from =
        |file: &&StoredFile| outputs.get(&file.sha256).is_some_and(|output| output.original == original);
    files.is_some_and(|files| files.iter().any(made_from))
}
