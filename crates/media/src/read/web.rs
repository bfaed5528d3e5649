//! GIF and WebP: pictures for the web, small enough to be decoded as a whole. Of an animation, the first frame counts.

use std::collections::BTreeSet;
use std::io::{BufRead, Seek};

use common::content::{Picture, View};
use image::error::{LimitError, LimitErrorKind};
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, ImageResult, Limits};

use super::credits;
use super::memory::{MOST_DECODED, MOST_METADATA};
use super::thumbnail::{Shrinking, colour};
use super::{Source, bounds, exif, frames, picture, profile};

pub(super) fn read(mut file: impl Source, format: ImageFormat, decode: bool) -> Result<Picture, String> {
    let frames = match format {
        ImageFormat::Gif => frames::of_gif(&mut file),
        _ => frames::of_webp(&mut file),
    };
    opened(file, format, frames, decode).map_err(|error| error.to_string())
}

fn opened(
    mut file: impl BufRead + Seek,
    format: ImageFormat,
    frames: Option<u64>,
    decode: bool,
) -> ImageResult<Picture> {
    if format == ImageFormat::WebP && !bounds::has_small_metadata(&mut file, MOST_METADATA)? {
        return Err(ImageError::Limits(LimitError::from_kind(LimitErrorKind::InsufficientMemory)));
    }
    let mut limits = Limits::default();
    limits.max_alloc = Some(MOST_DECODED);
    let mut reader = ImageReader::with_format(file, format);
    reader.limits(limits);
    let mut decoder = reader.into_decoder()?;
    let tags = exif::read(decoder.exif_metadata()?.unwrap_or_default());
    let icc = decoder.icc_profile()?.unwrap_or_default();
    let mut credits = tags.credits;
    credits::of_xmp(&mut credits, &decoder.xmp_metadata()?.unwrap_or_default());
    let has_alpha = decoder.color_type().has_alpha();
    let view = decode.then(|| view(decoder));
    Ok(Picture {
        orientation: tags.orientation.unwrap_or(1),
        bit_depth: 8,
        alpha: picture::is_transparent(has_alpha, view.as_ref()),
        dpi: tags.dpi,
        exif_dpi: None,
        colours: Some("RGB".to_owned()),
        icc_profile: (!icc.is_empty()).then(|| profile::name(&icc)),
        profile: Some(profile::read(&icc)),
        credits,
        behind: BTreeSet::new(),
        frames,
        view,
    })
}

fn view(decoder: impl ImageDecoder) -> View {
    // The decoder's buffers, the picture, and the picture converted to RGBA.
    let needed = decoder.total_bytes().saturating_mul(3);
    if needed > MOST_DECODED {
        return View::TooLarge { needed };
    }
    let pixels = match DynamicImage::from_decoder(decoder) {
        Ok(whole) => whole.into_rgba8(),
        Err(error) => return picture::undecodable(&error),
    };
    let mut shrinking = Shrinking::new(pixels.width(), pixels.height());
    for (x, y, pixel) in pixels.enumerate_pixels() {
        shrinking.add(x.into(), y.into(), colour(&pixel.0));
    }
    View::Thumbnail(shrinking.finish())
}
