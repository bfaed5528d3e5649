//! How alike two pictures are.

use common::content::Thumbnail;

/// What keeps flat and dark pictures from being told apart by noise. It is larger than the constants of the index's
/// authors (Wang et al., 2004), since in a small flat picture the watermark is all there is.
const CALM: f64 = (0.1 * 255.0) * (0.1 * 255.0);

/// The structural similarity of two thumbnails, that of the colour which differs most: 1 for the same picture,
/// about 0 for pictures that have nothing in common.
pub(crate) fn similarity(left: &Thumbnail, right: &Thumbnail) -> f64 {
    (0..3).map(|channel| of_channel(left, right, channel)).fold(1.0, f64::min)
}

fn of_channel(left: &Thumbnail, right: &Thumbnail, channel: usize) -> f64 {
    let pairs =
        || left.channel(channel).zip(right.channel(channel)).map(|(l, r)| (f64::from(l), f64::from(r)));
    let cells = (Thumbnail::SIDE * Thumbnail::SIDE) as f64;
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
