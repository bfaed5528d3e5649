//! A reversible write to an asset that a person names: whether the token may write, and whether Bynder keeps the text.

use std::time::Duration;

use bynder::{Bynder, BynderError, Metaproperty};
use common::asset::AssetId;
use common::hash::ContentHash;
use common::marker::Records;

use super::report::{Finding, Report, failed};

/// How long a write may take to become visible; Bynder queues it.
const PATIENCE: Duration = Duration::from_mins(1);
const WRITE_POLL: Duration = Duration::from_secs(2);

/// The active version's downloaded file, or why it could not be downloaded.
type Downloaded = Result<(ContentHash, u64), BynderError>;

/// Writes an asset's hash metaproperty and restores it. Compares a download before the write with one after it.
///
/// An empty metaproperty is temporarily set to opted out: if the doctor dies in between, the asset is left alone
/// instead of being wrongly counted as protected. Otherwise the same text is written again.
pub(super) async fn run(bynder: &Bynder, field: &Metaproperty, asset: &AssetId, report: &mut Report) {
    let (finding, downloads) = match attempt(bynder, field, asset).await {
        Ok(found) => found,
        Err(BynderError::NotFound { .. }) => {
            let text = format!("Bynder has no asset {asset}; name one that the token's user sees");
            (Finding::Fail(text, 2), None)
        }
        Err(BynderError::Forbidden { .. }) => {
            let text = "the asset may not be written: give the token the scope asset:write, its user the role MEDIAEDIT";
            (Finding::Fail(text.to_owned(), 4), None)
        }
        Err(error) => (failed(&error), None),
    };
    report.add("Bynder right to write", finding);
    if let Some(downloads) = downloads {
        report.add("Bynder downloads", downloads);
    }
}

async fn attempt(
    bynder: &Bynder,
    field: &Metaproperty,
    asset: &AssetId,
) -> Result<(Finding, Option<Finding>), BynderError> {
    let detail = bynder.asset(asset).await?;
    let Some(version) = detail.active() else {
        let text = "not tried: Bynder does not say which version of the asset is active";
        return Ok((Finding::Warn(text.to_owned()), None));
    };
    let listed = detail.version(version).and_then(|version| version.bytes);
    let first = bynder.hash_version(asset, version).await;
    let before = detail.asset.property_text(&field.name).filter(|text| !text.trim().is_empty());
    let (finding, second) = match before {
        Some(text) => {
            bynder.set_texts(asset, &[(&field.id, &text)]).await?;
            let second = bynder.hash_version(asset, version).await;
            let text = format!("{asset} was written with the text that it held, which stays");
            (Finding::Pass(text), second)
        }
        None => write_and_empty(bynder, field, asset, version).await?,
    };
    Ok((finding, Some(compared(listed, first, second))))
}

async fn write_and_empty(
    bynder: &Bynder,
    field: &Metaproperty,
    asset: &AssetId,
    version: u32,
) -> Result<(Finding, Downloaded), BynderError> {
    let text = Records::default().with_opt_out(true).to_string();
    bynder.set_texts(asset, &[(&field.id, &text)]).await?;
    let was_kept = comes(bynder, field, asset, Some(&text)).await?;
    let second = bynder.hash_version(asset, version).await;
    bynder.set_texts(asset, &[(&field.id, "")]).await?;
    let is_empty = comes(bynder, field, asset, None).await?;
    let finding = match (was_kept, is_empty) {
        (true, true) => Finding::Pass(format!("{asset} was written, read and put back")),
        (false, _) => Finding::Fail(
            format!(
                "Bynder took text for {} of {asset} and does not keep it; make the field editable",
                field.name
            ),
            3,
        ),
        (true, false) => {
            Finding::Fail(format!("{asset} still holds {text:?} in {}; empty it in Bynder", field.name), 1)
        }
    };
    Ok((finding, second))
}

/// Checks that both downloads are the file that Bynder lists. If they are not, a file's hash is not the same in every
/// download.
fn compared(listed: Option<u64>, first: Downloaded, second: Downloaded) -> Finding {
    let (first, second) = match (first, second) {
        (Ok(first), Ok(second)) => (first, second),
        (Err(error), _) | (_, Err(error)) => {
            return Finding::Warn(format!("not compared with each other: {error}"));
        }
    };
    let wrong = match listed {
        _ if first != second => {
            format!("two downloads differ ({} and {} bytes)", first.1, second.1)
        }
        Some(listed) if listed != first.1 => {
            format!("downloads have {} bytes, and Bynder lists {listed}", first.1)
        }
        Some(_) | None => {
            return Finding::Pass(format!("two downloads around the write are the same {} bytes", first.1));
        }
    };
    Finding::Fail(
        format!(
            "{wrong}: the portal changes files as they are downloaded, most likely by embedding metadata; switch that off for \
             the connector's user, see docs/bynder-setup.md"
        ),
        3,
    )
}

/// Whether the asset holds this text before [`PATIENCE`] runs out.
async fn comes(
    bynder: &Bynder,
    field: &Metaproperty,
    asset: &AssetId,
    wanted: Option<&str>,
) -> Result<bool, BynderError> {
    let looking = async {
        loop {
            let text = bynder.asset(asset).await?.asset.property_text(&field.name);
            if text.as_deref().filter(|text| !text.trim().is_empty()) == wanted {
                return Ok(());
            }
            tokio::time::sleep(WRITE_POLL).await;
        }
    };
    match tokio::time::timeout(PATIENCE, looking).await {
        Ok(seen) => seen.map(|()| true),
        Err(_) => Ok(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn downloads_that_differ_from_each_other_or_from_the_list_fail() {
        let file = |byte: u8, bytes| Ok((ContentHash::from_bytes([byte; 32]), bytes));
        assert!(matches!(compared(Some(5), file(1, 5), file(1, 5)), Finding::Pass(_)));
        assert!(matches!(compared(None, file(1, 5), file(1, 5)), Finding::Pass(_)));
        for (listed, second) in [(Some(5), file(2, 5)), (Some(5), file(2, 6)), (Some(4), file(1, 5))] {
            let found = compared(listed, file(1, 5), second);
            assert!(matches!(found, Finding::Fail(_, 3)), "{found:?}");
        }
    }
}
