//! The library as a web page.

use axum::http::header;
use axum::response::{IntoResponse, Response};
use image::ImageFormat;

use crate::call::text;
use crate::world::SandboxState;

const PAGE: &str = include_str!("page.html");
/// Allows only the page's own script and style, and pictures and requests from and to the sandbox.
const POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src 'self'; connect-src 'self'";
const THUMBNAIL: u32 = 240;
/// Larger files, in bytes, get no thumbnail: decoding would need the whole picture in memory.
const LARGEST: u64 = 32 << 20;

pub(crate) fn page() -> Response {
    let headers =
        [(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::CONTENT_SECURITY_POLICY, POLICY)];
    (headers, PAGE).into_response()
}

/// A thumbnail of one version.
pub(crate) async fn thumbnail(shared: &SandboxState, id: &str, number: u32) -> Response {
    let file = shared.world().assets.get(id).and_then(|asset| {
        let version = asset.versions.iter().find(|version| version.number == number)?;
        version.file.clone().filter(|file| file.bytes <= LARGEST)
    });
    let Some(file) = file else { return text(404, "no picture") };
    let made = tokio::task::spawn_blocking(move || {
        let picture =
            image::open(&file.path).or_else(|_| image::load_from_memory(&std::fs::read(&file.path)?))?;
        let mut small = std::io::Cursor::new(Vec::new());
        picture.thumbnail(THUMBNAIL, THUMBNAIL).to_rgb8().write_to(&mut small, ImageFormat::Jpeg)?;
        Ok::<_, image::ImageError>(small.into_inner())
    });
    match made.await {
        Ok(Ok(small)) => {
            ([(header::CONTENT_TYPE, "image/jpeg"), (header::CACHE_CONTROL, "max-age=3600")], small)
                .into_response()
        }
        _ => text(404, "no picture"),
    }
}
