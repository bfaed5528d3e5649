//! How alike two pictures are.

use common::content::Thumbnail;

/// What keeps flat and dark pictures from being told apart by noise. It is larger than the constants of the index's
/// authors (Wang et al., 2004), since in a small flat picture the watermark is all there is.
const CALM: f64 = (0.1 * 255.0) * (0.1 * 255.0);

/// Differences of the square of one and a half steps in each cell make no detail.
const FEW_DETAILS: f64 = 2.25 * Thumbnail::DETAILS as f64;

/// The structural similarity of two thumbnails, that of the colour which differs most, on white or on black: 1 for the same picture,
/// about 0 for pictures that have nothing in common.
pub(crate) fn similarity(left: &Thumbnail, right: &Thumbnail) -> f64 {
    let on_white = |colour| of_channel(&|| left.channel(colour).zip(right.channel(colour)));
    let on_black = |colour| of_channel(&|| left.on_black(colour).zip(right.on_black(colour)));
    let similarity = (0..3).map(on_white).fold(1.0, f64::min);
    // Facts of a release that knew no transparency have none.
    let both = left.is_transparent() && right.is_transparent();
    if both { (0..3).map(on_black).fold(similarity, f64::min) } else { similarity }
}

/// How alike the details of two thumbnails are, where both have them: of what is the same 1, of what has nothing in common
/// 0 where there are many, as in text, and 1 where there are none.
pub(crate) fn of_details(left: &Thumbnail, right: &Thumbnail) -> f64 {
    let (Some(left), Some(right)) = (left.details(), right.details()) else { return 1.0 };
    let (mut both, mut squares) = (FEW_DETAILS, FEW_DETAILS);
    for (left, right) in left.iter().zip(right) {
        let (left, right) = (f64::from(*left) - 8.0, f64::from(*right) - 8.0);
        both += 2.0 * left * right;
        squares += left * left + right * right;
    }
    both / squares
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
    let luminance = (2.0 * left_mean * right_mean + CALM) / (left_mean.powi(2) + right_mean.powi(2) + CALM);
    let structure = (2.0 * covariance + CALM) / (left_variance + right_variance + CALM);
    luminance * structure
}
