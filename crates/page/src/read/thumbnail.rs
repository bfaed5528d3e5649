//! The thumbnail of one asset, for a page that shows it.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

use crate::read::reading::Reading;

/// Without a thumbnail, a page shows an empty frame.
pub(super) async fn show(State(reading): State<Reading>, Path(id): Path<String>) -> Response {
    let found = async {
        let (asset, live) = (id.parse().ok()?, reading.state.live()?);
        reading.thumbnails.of(&live, &asset).await
    };
    match found.await {
        Some(picture) => ([(CONTENT_TYPE, picture.media_type)], picture.bytes).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
