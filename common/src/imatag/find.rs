//! Looking for a medium by the asset it belongs to: before every submit, since a submit is not repeatable.

use serde_json::Value;
use url::Url;

use super::answer::shown;
use super::call::attempted;
use super::profile::FindWire;
use super::{Directory, Imatag, ImatagError, MediumId, MediumState};
use crate::asset::AssetId;
use crate::hash::ContentHash;
use crate::http::Operation;

/// The metadata key that tells which file of the asset a medium was made from.
pub const ORIGINAL_KEY: &str = "original_sha256";

/// Pages read at most: one asset has a handful of media.
const MOST_PAGES: u32 = 20;

impl Imatag {
    /// The medium made from this very file of this asset, if there is one. Failed media do not count: submitting
    /// the file again is what a person would do.
    ///
    /// Every configured directory is looked through, `first` before the others: the asset may have belonged elsewhere,
    /// by other values or by another configuration, when the file was submitted. `None` where the profile has no `find`.
    ///
    /// # Errors
    /// What any call can fail with, and a list that is not where the profile says.
    pub async fn find(
        &self,
        asset: &AssetId,
        original: ContentHash,
        first: &Directory,
    ) -> Result<Option<(MediumId, MediumState)>, ImatagError> {
        let Some(find) = &self.inner.profile.find else {
            return Ok(None);
        };
        let others = self.inner.directories.iter().filter(|directory| *directory != first);
        let mut asked = None;
        for directory in std::iter::once(first).chain(others) {
            let url = self.find_url(find, asset, directory)?;
            // A profile whose `find` names no directory looks through all of them at once.
            if asked.as_ref() == Some(&url) {
                break;
            }
            if let Some(found) = self.find_at(find, url.clone(), asset, original).await? {
                return Ok(Some(found));
            }
            asked = Some(url);
        }
        Ok(None)
    }

    fn find_url(&self, find: &FindWire, asset: &AssetId, directory: &Directory) -> Result<Url, ImatagError> {
        let fill = |text: &str| {
            text.replace("{directory}", directory.as_str())
                .replace("{metadata_key}", &self.inner.media_id_metadata)
                .replace("{asset}", asset.as_str())
        };
        let mut url = self.url(&find.path, None)?;
        url.query_pairs_mut().extend_pairs(find.query.iter().map(|(name, value)| (fill(name), fill(value))));
        Ok(url)
    }

    async fn find_at(
        &self,
        find: &FindWire,
        mut url: Url,
        asset: &AssetId,
        original: ContentHash,
    ) -> Result<Option<(MediumId, MediumState)>, ImatagError> {
        let operation = format!("looking for media of asset {asset}");
        for _ in 0..MOST_PAGES {
            let response = self.send(Operation::Find, &operation, |client| client.get(url.clone())).await?;
            let at = attempted(&operation, &response);
            let json: Value = self.read(&operation, response).await?;
            let Some(media) = json.pointer(&find.list).and_then(Value::as_array) else {
                let reason = format!("find.list: nothing at {} in the answer", find.list);
                return Err(ImatagError::Misconfigured { at, reason });
            };
            for medium in media.iter().filter(|medium| self.is_of(medium, asset, original)) {
                let shown = shown(&self.inner.profile.response, medium);
                let shown = shown.map_err(|reason| ImatagError::Unexpected { at: at.clone(), reason })?;
                match (shown.medium, shown.state) {
                    (Some(_), Some(MediumState::Failed { .. })) | (None, _) => {}
                    (Some(medium), state) => {
                        return Ok(Some((medium, state.unwrap_or(MediumState::Pending))));
                    }
                }
            }
            match json.get("next").and_then(Value::as_str).and_then(|next| url.join(next).ok()) {
                // The credential goes to the configured origin only, wherever a page points.
                Some(next) if next.origin() == url.origin() => url = next,
                _ => return Ok(None),
            }
        }
        Ok(None)
    }

    /// A service that ignores an unknown filter returns everything, so each hit is checked.
    fn is_of(&self, medium: &Value, asset: &AssetId, original: ContentHash) -> bool {
        let Some(metadata) =
            self.inner.profile.response.metadata.as_deref().and_then(|place| medium.pointer(place))
        else {
            return false;
        };
        let holds = |key: &str, wanted: &str| metadata.get(key).and_then(Value::as_str) == Some(wanted);
        holds(&self.inner.media_id_metadata, asset.as_str()) && holds(ORIGINAL_KEY, &original.to_string())
    }
}
