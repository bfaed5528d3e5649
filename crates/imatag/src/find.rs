//! Finds the medium of an asset: before every submit, since a submit must not be repeated.

use serde_json::Value;
use url::Url;

use super::answer::shown;
use super::call::attempted;
use super::error::Attempted;
use super::profile::FindWire;
use super::{Directory, Imatag, ImatagError, MediumId, MediumState};
use common::asset::AssetId;
use common::hash::ContentHash;
use http_client::{Operation, Redactor};

/// The metadata key for the hash of the file that a medium was made from.
pub const ORIGINAL_KEY: &str = "original_sha256";

/// The most pages that are read: an asset has a handful of media.
const MOST_PAGES: u32 = 20;

impl Imatag {
    /// The medium of exactly this file of this asset, if it exists. Failed media do not count: a person would
    /// submit the file again as well.
    ///
    /// Searches every configured directory, `first` before the others: when the file was submitted, the asset may
    /// have belonged elsewhere, by other values or another configuration. `None` if the profile has no `find`.
    ///
    /// # Errors
    /// Any error of a call; [`ImatagError::Misconfigured`] if the list is not where the profile says, cannot be
    /// read to its end, or contains media of other assets.
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
            // A profile whose `find` names no directory searches all of them at once.
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

    /// Reads the whole list. Only a list that was read to its end and contains no medium of another asset proves
    /// that there is none: a file whose medium was missed is watermarked and paid for again.
    async fn find_at(
        &self,
        find: &FindWire,
        mut url: Url,
        asset: &AssetId,
        original: ContentHash,
    ) -> Result<Option<(MediumId, MediumState)>, ImatagError> {
        let operation = format!("looking for media of asset {asset}");
        let mut last = Attempted { operation: operation.clone(), request_id: None };
        for _ in 0..MOST_PAGES {
            let response = self.send(Operation::Find, &operation, |client| client.get(url.clone())).await?;
            let (at, redactor) = (attempted(&operation, &response), Redactor::in_answer(&response));
            let json: Value = self.read(Operation::Find, &operation, response).await?;
            let misconfigured = |reason: String| ImatagError::Misconfigured { at: at.clone(), reason };
            let Some(media) = json.pointer(&find.list).and_then(Value::as_array) else {
                return Err(misconfigured(format!("find.list: nothing at {} in the answer", find.list)));
            };
            if !media.iter().all(|medium| self.is_of(medium, asset)) {
                return Err(misconfigured(format!(
                    "find.query: the search for asset {asset} also returns other media, so the service ignores the \
                     filter by {}, or does not show it at response.metadata",
                    self.inner.media_id_metadata
                )));
            }
            for medium in
                media.iter().filter(|medium| self.holds(medium, ORIGINAL_KEY, &original.to_string()))
            {
                let shown = shown(&self.inner.profile.response, medium, &redactor);
                let shown = shown.map_err(|reason| ImatagError::Unexpected { at: at.clone(), reason })?;
                match (shown.medium, shown.state) {
                    (Some(_), Some(MediumState::Failed { .. })) | (None, _) => {}
                    (Some(medium), state) => {
                        return Ok(Some((medium, state.unwrap_or(MediumState::Pending))));
                    }
                }
            }
            match next_page(&self.inner.base_url, &url, json.get("next")) {
                NextPage::None => return Ok(None),
                NextPage::At(next) => url = next,
                NextPage::Unusable => {
                    let reason = "the next page of the search is not on the configured host";
                    return Err(misconfigured(reason.to_owned()));
                }
            }
            last = at;
        }
        let reason = format!("find.query: the search for asset {asset} has more than {MOST_PAGES} pages");
        Err(ImatagError::Misconfigured { at: last, reason })
    }

    fn is_of(&self, medium: &Value, asset: &AssetId) -> bool {
        self.holds(medium, &self.inner.media_id_metadata, asset.as_str())
    }

    fn holds(&self, medium: &Value, key: &str, wanted: &str) -> bool {
        self.metadata(medium, key) == Some(wanted)
    }

    /// Whether the response shows the metadata, with another value.
    pub(super) fn shows_other(&self, medium: &Value, key: &str, wanted: &str) -> bool {
        self.metadata(medium, key).is_some_and(|shown| shown != wanted)
    }

    fn metadata<'a>(&self, medium: &'a Value, key: &str) -> Option<&'a str> {
        medium.pointer(self.inner.profile.response.metadata.as_deref()?)?.get(key)?.as_str()
    }
}

/// The next page of a list.
#[derive(Debug, PartialEq, Eq)]
enum NextPage {
    /// The list is complete.
    None,
    At(Url),
    /// The address is not the service's, or not valid.
    Unusable,
}

/// Resolves the address of the next page. A service behind a proxy often writes its links with the scheme and port
/// between the proxy and itself. So only path and query are used; the origin stays the configured one, which alone
/// receives the credential.
fn next_page(base: &Url, current: &Url, next: Option<&Value>) -> NextPage {
    let text = match next {
        None | Some(Value::Null) => return NextPage::None,
        Some(Value::String(text)) if text.is_empty() => return NextPage::None,
        Some(Value::String(text)) => text,
        Some(_) => return NextPage::Unusable,
    };
    match current.join(text) {
        Ok(link) if link.host() == base.host() => {
            let mut next = base.clone();
            next.set_path(link.path());
            next.set_query(link.query());
            NextPage::At(next)
        }
        _ => NextPage::Unusable,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_next_page_stays_at_the_configured_origin_and_one_elsewhere_is_not_the_end() {
        let base: Url = "https://imatag.example/api/v4/".parse().unwrap();
        let current = base.join("media/?page=1").unwrap();
        let second = NextPage::At(base.join("media/?page=2").unwrap());
        for next in [
            "https://imatag.example/api/v4/media/?page=2",
            "http://imatag.example/api/v4/media/?page=2",
            "http://imatag.example:8000/api/v4/media/?page=2",
            "/api/v4/media/?page=2",
            "?page=2",
        ] {
            assert_eq!(next_page(&base, &current, Some(&json!(next))), second, "{next}");
        }
        for end in [None, Some(&json!(null)), Some(&json!(""))] {
            assert_eq!(next_page(&base, &current, end), NextPage::None, "{end:?}");
        }
        for wrong in [json!("https://elsewhere.example/media/?page=2"), json!(2), json!("http://[")] {
            assert_eq!(next_page(&base, &current, Some(&wrong)), NextPage::Unusable, "{wrong}");
        }
    }
}
