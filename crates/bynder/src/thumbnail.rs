//! Thumbnails of assets: their addresses by one call to the listing, then storage without any credential.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use futures::TryStreamExt;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::batching::MOST_IDS;
use super::call::unavailable;
use super::list::ListQuery;
use super::listing::Listing;
use super::{Bynder, BynderError};
use common::asset::AssetId;
use http_client::{Link, Operation};

const LISTING: &str = "listing thumbnails";
const FETCHING: &str = "fetching a thumbnail";

/// The derivatives that every portal makes; the first that an asset has is taken.
const DERIVATIVES: [&str; 3] = ["thul", "mini", "webimage"];
/// A row with many times the fields of a real one, as for every listing.
const MOST_ROW_BYTES: usize = 1 << 20;
const LONGEST_LINK: usize = 4096;
/// A larger picture is no thumbnail.
const MOST_BYTES: usize = 256 << 10;

/// A small picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// By its first bytes, whatever storage says.
    pub media_type: &'static str,
    pub bytes: Bytes,
}

#[derive(Deserialize)]
struct Row {
    id: AssetId,
    /// Bynder sends an empty array for an asset without thumbnails.
    #[serde(default)]
    thumbnails: Value,
}

impl Bynder {
    /// The thumbnails' addresses of the first [`MOST_IDS`] of these assets, by one call. The result leaves out an asset that
    /// the listing does not have, or that has no thumbnail.
    pub async fn thumbnails(&self, ids: &[AssetId]) -> Result<HashMap<AssetId, Link>, BynderError> {
        let ids = &ids[..ids.len().min(MOST_IDS)];
        let limit = u32::try_from(MOST_IDS).unwrap_or(u32::MAX);
        let query = ListQuery { limit, ids: ids.to_vec(), ..ListQuery::default() }.parameters();
        let url = self.url(LISTING, &["api", "v4", "media", ""])?;
        let build = |client: &reqwest::Client| client.get(url.clone()).query(&query);
        let Listing { rows, .. } = self.call(Operation::List, LISTING, build).await?;
        let asked: HashSet<_> = ids.iter().collect();
        Ok(rows.iter().filter_map(|row| link(row)).filter(|(id, _)| asked.contains(id)).collect())
    }

    /// Downloads a thumbnail.
    pub async fn picture(&self, link: &Link) -> Result<Picture, BynderError> {
        let unexpected = |reason: &str| BynderError::Unexpected {
            operation: FETCHING.to_owned(),
            reason: reason.to_owned(),
        };
        let kind = Operation::FetchThumbnail;
        let (response, _) = self.fetch(kind, FETCHING, link.clone(), None).await?;
        let mut body = Box::pin(self.inner.transport.body(kind, response));
        let mut bytes = Vec::new();
        while let Some(chunk) = body.try_next().await.map_err(|error| unavailable(FETCHING, error))? {
            if bytes.len() + chunk.len() > MOST_BYTES {
                return Err(unexpected("it is larger than a thumbnail"));
            }
            bytes.extend_from_slice(&chunk);
        }
        let media_type = media_type(&bytes).ok_or_else(|| unexpected("it is no picture"))?;
        Ok(Picture { media_type, bytes: bytes.into() })
    }
}

/// The address of a row's thumbnail.
fn link(row: &RawValue) -> Option<(AssetId, Link)> {
    if row.get().len() > MOST_ROW_BYTES {
        return None;
    }
    let row: Row = serde_json::from_str(row.get()).ok()?;
    let address = DERIVATIVES.iter().find_map(|name| row.thumbnails.get(name)?.as_str())?;
    Some((row.id, Link::parse(address).filter(|_| address.len() <= LONGEST_LINK)?))
}

/// The type of a picture that every browser shows and that cannot contain a script.
fn media_type(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some("image/png"),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some("image/gif"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::Response;
    use serde_json::json;

    use super::*;
    use crate::tests::{Script, json as answer, response, scripted};

    fn address(thumbnails: &Value) -> Option<String> {
        let row = json!({"id": "A-1", "name": "a", "thumbnails": thumbnails});
        let found = link(&serde_json::value::to_raw_value(&row).unwrap());
        found.map(|(_, link)| link.url().to_string())
    }

    #[test]
    fn the_smallest_sufficient_derivative_is_taken_and_anything_else_is_none() {
        let (mini, thul) = ("https://cdn.example/mini", "https://cdn.example/thul");
        for (thumbnails, wanted) in [
            (json!({"webimage": "https://cdn.example/web", "mini": mini, "thul": thul}), Some(thul)),
            (json!({"mini": mini, "original": "https://cdn.example/o"}), Some(mini)),
            (json!({"thul": null, "mini": mini}), Some(mini)),
            (json!({"Hero": thul}), None),
            (json!({"mini": "/relative"}), None),
            (json!({"mini": format!("{mini}?{}", "a".repeat(LONGEST_LINK))}), None),
            (json!([]), None),
            (json!(null), None),
        ] {
            assert_eq!(address(&thumbnails).as_deref(), wanted, "{thumbnails}");
        }
        let large = json!({"id": "A-1", "tags": vec![0; MOST_ROW_BYTES], "thumbnails": {"mini": mini}});
        assert!(link(&serde_json::value::to_raw_value(&large).unwrap()).is_none());
    }

    #[test]
    fn a_picture_is_what_its_first_bytes_say() {
        for (bytes, wanted) in [
            (&b"\xff\xd8\xff\xe0\0"[..], Some("image/jpeg")),
            (b"\x89PNG\r\n\x1a\n\0", Some("image/png")),
            (b"GIF89a\0", Some("image/gif")),
            (b"RIFF\0\0\0\0WEBPVP8 ", Some("image/webp")),
            (b"RIFF\0\0\0\0WAVEfmt ", None),
            (b"<svg xmlns=", None),
            (b"<!doctype html>", None),
            (b"\xff\xd8", None),
            (b"", None),
        ] {
            assert_eq!(media_type(bytes), wanted, "{bytes:?}");
        }
    }

    #[tokio::test]
    async fn the_addresses_of_a_page_of_assets_cost_one_call_and_only_theirs_are_returned() {
        let row = |id: &str| json!({"id": id, "thumbnails": {"mini": format!("https://cdn.example/{id}")}});
        let rows = json!([row("A-1"), row("B-1"), {"id": "A-2", "thumbnails": []}, {"id": 7}, 7]);
        let (portal, bynder) = scripted(vec![answer(200, &rows.to_string())]).await;
        let ids: Vec<AssetId> = (1..=60).map(|number| format!("A-{number}").parse().unwrap()).collect();
        let found = bynder.thumbnails(&ids).await.unwrap();
        assert_eq!(found.keys().map(AssetId::as_str).collect::<Vec<_>>(), ["A-1"]);
        let seen = portal.seen();
        let [asked] = &*seen else { panic!("{seen:?}") };
        assert!(
            asked.line.contains("limit=50") && asked.line.contains("A-50") && !asked.line.contains("A-51")
        );
    }

    #[tokio::test]
    async fn a_picture_comes_without_the_credential_and_is_bounded() {
        let jpeg = |bytes: usize| {
            let body = [&b"\xff\xd8\xff"[..], &vec![0; bytes - 3]].concat();
            Response::builder().header("content-type", "text/html").body(Body::from(body)).unwrap()
        };
        let pictures = vec![
            jpeg(MOST_BYTES),
            jpeg(MOST_BYTES + 1),
            response(200, "image/jpeg", "<svg>"),
            response(403, "text/plain", ""),
        ];
        let (storage, url) = Script::serve(pictures).await;
        let (portal, bynder) = scripted(vec![]).await;
        let link = Link::from(url.join("mini?s=1").unwrap());
        let picture = bynder.picture(&link).await.unwrap();
        assert_eq!((picture.media_type, picture.bytes.len()), ("image/jpeg", MOST_BYTES));
        for why in ["larger than a thumbnail", "no picture", "refuses"] {
            let error = bynder.picture(&link).await.unwrap_err().to_string();
            assert!(error.contains(why) && !error.contains("s=1"), "{error}");
        }
        assert!(storage.seen().iter().all(|seen| seen.authorization.is_none()));
        assert!(portal.seen().is_empty());
    }
}
