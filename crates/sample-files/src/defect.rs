//! Watermarked files with exactly one defect: one for each property that must not change.

use image::DynamicImage;
use image::imageops::FilterType;
use serde::{Deserialize, Serialize};

use super::picture::Picture;
use super::{Format, document, film, painting};

/// A defect of a watermarked file. A file that cannot have the defect stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Defect {
    /// JPEG became PNG, or vice versa.
    OtherType,
    /// The picture is half as wide.
    Smaller,
    /// The picture is shown upside down.
    Turned,
    /// A PNG of 16 bits has eight.
    Shallow,
    /// A PNG lost its transparency: it is on white.
    Opaque,
    /// A JPEG states another resolution.
    Coarse,
    /// The ICC profile is gone.
    NoProfile,
    /// The copyright in EXIF is gone.
    NoExifCopyright,
    /// The by-line in IPTC is gone.
    NoIptcByline,
    /// The rights in XMP are gone.
    NoXmpRights,
    /// Another picture, of the same size and with the same metadata.
    OtherPicture,
    /// A film's last box states more bytes than there are.
    BrokenContainer,
    /// A film lost its sound track.
    TrackLost,
    /// A film runs half as long.
    Shortened,
    /// A film's pictures are half as wide.
    Narrow,
    /// A PDF lost its last page.
    PageLost,
}

impl Defect {
    /// The watermarked file with this defect.
    pub fn applied_to(self, file: Vec<u8>) -> Vec<u8> {
        match Format::detect(&file) {
            Some(format @ (Format::Jpeg | Format::Png)) => match Picture::read(format, &file) {
                Some(picture) => self.of_picture(format, picture),
                None => file,
            },
            Some(Format::Mp4) => self.of_film(file),
            Some(Format::Pdf) if self == Self::PageLost => document::without_last_page(&file),
            Some(Format::Tiff | Format::Pdf | Format::Wav) | None => file,
        }
    }

    fn of_picture(self, format: Format, mut picture: Picture) -> Vec<u8> {
        let (width, height) = (picture.pixels.width(), picture.pixels.height());
        let mut written = format;
        match self {
            Self::OtherType => written = if format == Format::Png { Format::Jpeg } else { Format::Png },
            Self::Smaller => {
                let half = (width / 2).max(1);
                picture.pixels = picture.pixels.resize_exact(half, height, FilterType::Triangle);
            }
            Self::Turned => picture.segments.turn(),
            Self::Shallow => picture.pixels = DynamicImage::ImageRgba8(picture.pixels.to_rgba8()),
            Self::Opaque => picture.pixels = on_white(&picture.pixels),
            Self::Coarse => picture.segments.coarsen(),
            Self::NoProfile => picture.segments.icc.clear(),
            Self::NoExifCopyright => picture.segments.lose_exif_copyright(),
            Self::NoIptcByline => picture.segments.lose_iptc_byline(),
            Self::NoXmpRights => picture.segments.lose_xmp_rights(),
            Self::OtherPicture => {
                picture.pixels = DynamicImage::ImageRgb8(painting(u64::MAX, width, height)).rotate180();
            }
            Self::BrokenContainer | Self::TrackLost | Self::Shortened | Self::Narrow | Self::PageLost => {}
        }
        picture.write(written)
    }

    fn of_film(self, mut file: Vec<u8>) -> Vec<u8> {
        match self {
            Self::BrokenContainer => film::break_last_box(&mut file),
            Self::TrackLost => film::lose_sound(&mut file),
            Self::Shortened => film::shorten(&mut file),
            Self::Narrow => film::narrow(&mut file),
            Self::OtherType
            | Self::Smaller
            | Self::Turned
            | Self::Shallow
            | Self::Opaque
            | Self::Coarse
            | Self::NoProfile
            | Self::NoExifCopyright
            | Self::NoIptcByline
            | Self::NoXmpRights
            | Self::OtherPicture
            | Self::PageLost => {}
        }
        file
    }
}

fn on_white(picture: &DynamicImage) -> DynamicImage {
    let glass = picture.to_rgba16();
    let white = u32::from(u16::MAX);
    let opaque = image::ImageBuffer::from_fn(glass.width(), glass.height(), |x, y| {
        let [colour @ .., alpha] = glass.get_pixel(x, y).0;
        image::Rgb(
            colour.map(|value| ((u32::from(value) * u32::from(alpha)) / white) as u16 + (u16::MAX - alpha)),
        )
    });
    DynamicImage::ImageRgb16(opaque)
}
