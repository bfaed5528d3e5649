//! Judges whether a client uses a watermarked file that it cannot have checked, since it did not get the whole of it.

use std::time::Instant;

use super::marker::Marker;
use crate::violation::ViolationKind;
use crate::world::{Output, StoredFile, World};

/// Judges a file of which an import or an additional file was made at this time.
pub(crate) fn judge_finalised(world: &mut World, file: &StoredFile, at: Instant) {
    let Some(output) = world.outputs.get(&file.sha256).cloned() else { return };
    if !was_sent(world, &output, at) {
        world.violate(ViolationKind::UsedUnchecked, &output.asset, "its upload was finalised");
    }
}

/// Judges the files that a new marker names.
pub(crate) fn judge_marker(world: &mut World, id: &str, text: &str) {
    for record in Marker::parse(Some(text)).records() {
        let Some(output) = world.outputs.get(&record.watermarked).cloned() else { continue };
        if !was_sent(world, &output, Instant::now()) {
            world.violate(ViolationKind::UsedUnchecked, id, "the marker names it");
        }
    }
}

fn was_sent(world: &World, output: &Output, by: Instant) -> bool {
    output.result.as_ref().is_none_or(|path| world.sent.get(path).is_some_and(|sent| *sent <= by))
}
