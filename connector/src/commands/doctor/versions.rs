//! Checks that the portal reports an asset's active version, both in the listing and for a single asset.

use bynder::Bynder;
use common::asset::{Asset, AssetDetail};

use super::report::{Finding, Report, failed};

const CHECK: &str = "Bynder versions";

/// Checks one of these assets, preferably one with several versions.
pub(super) async fn check(bynder: &Bynder, assets: &[Asset], report: &mut Report) {
    let has_several = |asset: &&Asset| asset.active_version.is_some_and(|version| version > 1);
    let Some(asset) = assets.iter().find(has_several).or(assets.first()) else { return };
    if asset.active_version.is_none() {
        let text = "listings contain no version numbers: each changed asset costs one more call";
        report.add(CHECK, Finding::Warn(text.to_owned()));
    }
    let finding = match bynder.asset(&asset.id).await {
        Ok(detail) => judge(&detail),
        Err(error) => failed(&error),
    };
    report.add(CHECK, finding);
}

fn judge(detail: &AssetDetail) -> Finding {
    let id = &detail.asset.id;
    let flagged = detail.versions.iter().filter(|version| version.active == Some(true)).count();
    match (detail.active(), detail.versions.len(), flagged) {
        (_, 0, _) => Finding::Fail(
            format!(
                "Bynder lists no versions of asset {id}, so nothing can be saved safely; ask Bynder's support why \
                 GET /api/v4/media/ID/?versions=1 has no mediaItems with a version"
            ),
            3,
        ),
        (None, ..) => Finding::Fail(
            format!(
                "Bynder does not say which version of asset {id} is the active one: {flagged} are flagged, and activeVersion \
                 is missing or names another; jobs of such assets fail. Ask Bynder's support for `active` in mediaItems"
            ),
            3,
        ),
        (Some(_), _, 1) => {
            Finding::Pass("a look at an asset says which version is the active one".to_owned())
        }
        (Some(_), 1, _) => Finding::Warn(format!(
            "the only version of asset {id} has no flag `active`, and no asset changed lately has several versions; ask \
             again when one has"
        )),
        (Some(active), ..) => Finding::Warn(format!(
            "{flagged} versions of asset {id} are flagged as active; its number says that it is version {active}, which \
             the connector goes by"
        )),
    }
}

#[cfg(test)]
mod tests {
    use common::asset::samples::detail;

    use super::*;

    #[test]
    fn each_way_to_leave_the_active_version_open_is_named() {
        let seen = |lengths: &[u64], named: Option<u32>, flag: Option<bool>| {
            let mut seen = detail(lengths, 1);
            seen.asset.active_version = named;
            seen.versions.iter_mut().for_each(|version| version.active = flag);
            judge(&seen)
        };
        assert!(matches!(judge(&detail(&[1, 2, 3], 3)), Finding::Pass(_)));
        assert!(matches!(seen(&[1], None, None), Finding::Warn(_)));
        assert!(matches!(seen(&[1, 2], Some(2), None), Finding::Warn(_)));
        assert!(matches!(seen(&[1, 2], Some(2), Some(true)), Finding::Warn(_)));
        for (named, flag) in [(None, None), (None, Some(true)), (Some(7), None), (None, Some(false))] {
            let found = seen(&[1, 2], named, flag);
            assert!(matches!(found, Finding::Fail(_, 3)), "{named:?} {flag:?} {found:?}");
        }
        assert!(matches!(seen(&[], Some(1), None), Finding::Fail(_, 3)));
    }
}
