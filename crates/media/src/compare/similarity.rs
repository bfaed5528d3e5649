//! How alike two pictures are.

use common::content::Thumbnail;

/// Stabilising constant of SSIM (C1 = C2): keeps noise from deciding in flat and dark pictures. It is larger than in Wang et
/// al. 2004, because in a small flat picture the watermark is the only structure.
const SSIM_STABILISER: f64 = (0.1 * 255.0) * (0.1 * 255.0);

/// A difference of up to one step counts as none: a watermark of blocks as large as the cells changes each by half a step,
/// which is as much as all the detail of a soft photograph.
const UNSEEN_STEPS: f64 = 1.0;

/// Added to the sum of squares, in steps: keeps a few differences from deciding in a picture with hardly any detail.
const FEW_DETAILS: f64 = 0.25 * Thumbnail::DETAILS as f64;

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Likeness {
    /// Structural similarity of colours and large shapes: about 0 to 1.
    pub similarity: f64,
    /// Similarity of the details; 1 if either picture has none.
    pub details: f64,
    /// Largest difference between the means of a colour channel, of 255.
    pub shift: f64,
}

/// Compares the pictures of these thumbnails.
pub fn likeness(left: &Thumbnail, right: &Thumbnail) -> Likeness {
    Likeness {
        similarity: similarity(left, right),
        details: of_details(left, right),
        shift: shift(left, right),
    }
}

/// Detects a colour cast, which changes no shape and so hardly lowers the structural similarity.
fn shift(left: &Thumbnail, right: &Thumbnail) -> f64 {
    let mean = |thumbnail: &Thumbnail, colour| {
        thumbnail.channel(colour).map(f64::from).sum::<f64>() / Thumbnail::CELLS as f64
    };
    (0..3).map(|colour| (mean(left, colour) - mean(right, colour)).abs()).fold(0.0, f64::max)
}

/// The lowest structural similarity of any colour channel, on white and on black: 1 for the same picture, about 0 for pictures
/// that have nothing in common.
pub(crate) fn similarity(left: &Thumbnail, right: &Thumbnail) -> f64 {
    let on_white = |colour| of_channel(&|| left.channel(colour).zip(right.channel(colour)));
    let on_black = |colour| of_channel(&|| left.on_black(colour).zip(right.on_black(colour)));
    let similarity = (0..3).map(on_white).fold(1.0, f64::min);
    // Facts from earlier releases have no transparency, so both must have it.
    let both = left.is_transparent() && right.is_transparent();
    if both { (0..3).map(on_black).fold(similarity, f64::min) } else { similarity }
}

/// Compares the details of two thumbnails: 1 for the same details, or if either has none; 0 or less if many details, as in
/// text, have nothing in common.
pub(crate) fn of_details(left: &Thumbnail, right: &Thumbnail) -> f64 {
    let (Some(left), Some(right)) = (left.details(), right.details()) else { return 1.0 };
    let (mut differing, mut squares) = (0.0, FEW_DETAILS);
    for (left, right) in left.iter().zip(right) {
        let (left, right) = (f64::from(*left) - 8.0, f64::from(*right) - 8.0);
        differing += ((left - right).abs() - UNSEEN_STEPS).max(0.0).powi(2);
        squares += left * left + right * right;
    }
    1.0 - differing / squares
}

fn of_channel<I: Iterator<Item = (u8, u8)>>(values: &dyn Fn() -> I) -> f64 {
    let pairs = || values().map(|(l, r)| (f64::from(l), f64::from(r)));
    let cells = Thumbnail::CELLS as f64;
    let mean = |value: fn((f64, f64)) -> f64| pairs().map(value).sum::<f64>() / cells;
    let (left_mean, right_mean) = (mean(|pair| pair.0), mean(|pair| pair.1));
    let spread = |value: &dyn Fn((f64, f64)) -> f64| pairs().map(value).sum::<f64>() / cells;
    let left_variance = spread(&|(l, _)| (l - left_mean).powi(2));
    let right_variance = spread(&|(_, r)| (r - right_mean).powi(2));
    let covariance = spread(&|(l, r)| (l - left_mean) * (r - right_mean));
    let luminance = (2.0 * left_mean * right_mean + SSIM_STABILISER)
        / (left_mean.powi(2) + right_mean.powi(2) + SSIM_STABILISER);
    let structure = (2.0 * covariance + SSIM_STABILISER) / (left_variance + right_variance + SSIM_STABILISER);
    luminance * structure
}
