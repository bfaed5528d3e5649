//! One reversible write, on an asset that a person names: whether the token may write, and Bynder keeps what is written.

use std::time::Duration;

use common::asset::AssetId;
use common::bynder::{Bynder, BynderError, Metaproperty};
use common::marker::Records;

use super::portal::failed;
use super::report::Finding;

/// How long a write may take to show; Bynder queues it.
const PATIENCE: Duration = Duration::from_mins(1);
const LOOK: Duration = Duration::from_secs(2);

/// Writes the hash metaproperty of this asset and puts it back.
///
/// An empty one is opted out for the moment: if the doctor dies in between, the asset is left alone, not protected
/// wrongly. One that holds text has the same text written again.
pub(super) async fn run(bynder: &Bynder, field: &Metaproperty, asset: &AssetId) -> Finding {
    match attempt(bynder, field, asset).await {
        Ok(finding) => finding,
        Err(BynderError::NotFound { .. }) => {
            Finding::Fail(format!("Bynder has no asset {asset}; name one that the token's user sees"), 2)
        }
        Err(BynderError::Forbidden { .. }) => {
            let text = "the asset may not be written: give the token the scope asset:write, its user the role MEDIAEDIT";
            Finding::Fail(text.to_owned(), 4)
        }
        Err(error) => failed(&error),
    }
}

async fn attempt(bynder: &Bynder, field: &Metaproperty, asset: &AssetId) -> Result<Finding, BynderError> {
    let before = bynder.asset(asset).await?.asset.property_text(&field.name);
    let before = before.filter(|text| !text.trim().is_empty());
    if let Some(text) = before {
        bynder.set_texts(asset, &[(&field.id, &text)]).await?;
        return Ok(Finding::Pass(format!("{asset} was written with the text that it held, which stays")));
    }
    let text = Records::default().with_opt_out(true).to_string();
    bynder.set_texts(asset, &[(&field.id, &text)]).await?;
    let was_kept = comes(bynder, field, asset, Some(&text)).await?;
    bynder.set_texts(asset, &[(&field.id, "")]).await?;
    let is_empty = comes(bynder, field, asset, None).await?;
    Ok(match (was_kept, is_empty) {
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
    })
}

/// Whether the asset comes to hold this text within the patience.
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
            tokio::time::sleep(LOOK).await;
        }
    };
    match tokio::time::timeout(PATIENCE, looking).await {
        Ok(seen) => seen.map(|()| true),
        Err(_) => Ok(false),
    }
}
