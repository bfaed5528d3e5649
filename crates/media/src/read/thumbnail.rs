//! Shrinks a picture to a thumbnail pixel by pixel, so that it is never in memory as a whole.

use common::content::Thumbnail;

const CELLS: usize = Thumbnail::CELLS;

/// Pictures with a shorter side get no details, because there a watermark would be one.
const LEAST_DETAILED: u32 = 96;

/// Difference of brightness of one step of a detail, of 255.
const STEP: i64 = 4;

/// The sums over the pixels so far.
pub(super) struct Shrinking {
    width: u64,
    height: u64,
    sums: [[u64; 4]; CELLS],
    counts: [u64; CELLS],
    is_transparent: bool,
    /// Sum and count of the samples in each cell of the details.
    details: Option<Vec<(u64, u64)>>,
}

impl Shrinking {
    pub(super) fn new(width: u32, height: u32) -> Self {
        let (sums, counts) = ([[0; 4]; CELLS], [0; CELLS]);
        let details = (width.min(height) >= LEAST_DETAILED).then(|| vec![(0, 0); Thumbnail::DETAILS]);
        Self { width: width.into(), height: height.into(), sums, counts, is_transparent: false, details }
    }

    /// For a picture that the decoder has scaled down; `shorter_side` is that of the original.
    pub(super) fn scaled(width: u16, height: u16, shorter_side: u16) -> Self {
        let mut shrinking = Self::new(width.into(), height.into());
        let is_detailed = u32::from(shorter_side) >= LEAST_DETAILED;
        shrinking.details = is_detailed.then(|| vec![(0, 0); Thumbnail::DETAILS]);
        shrinking
    }

    /// Adds one pixel: its colour on white, and its alpha. Pixels outside the picture are ignored.
    pub(super) fn add(&mut self, x: u64, y: u64, colour: [u8; 4]) {
        if x >= self.width || y >= self.height {
            return;
        }
        let side = Thumbnail::SIDE as u64;
        let Ok(cell) = usize::try_from(y * side / self.height * side + x * side / self.width) else { return };
        for (sum, value) in self.sums[cell].iter_mut().zip(colour) {
            *sum += u64::from(value);
        }
        self.counts[cell] += 1;
        if let Some(details) = &mut self.details {
            let side = Thumbnail::DETAIL_SIDE as u64;
            let at =
                usize::try_from(y * side / self.height * side + x * side / self.width).unwrap_or_default();
            details[at].0 += colour[..3].iter().map(|value| u64::from(*value)).sum::<u64>();
            details[at].1 += 3;
        }
        self.is_transparent |= colour[3] < u8::MAX;
    }

    /// The mean of each cell. Cells without a pixel, in pictures smaller than the thumbnail, are black.
    pub(super) fn finish(&self) -> Thumbnail {
        let mean = |cell: usize, value: usize| {
            u8::try_from(self.sums[cell][value] / self.counts[cell].max(1)).unwrap_or(u8::MAX)
        };
        let opaque = Thumbnail::new(std::array::from_fn(|at| mean(at / 3, at % 3)));
        let thumbnail = if self.is_transparent {
            opaque.with_opacity(std::array::from_fn(|cell| mean(cell, 3)))
        } else {
            opaque
        };
        match &self.details {
            Some(sums) => thumbnail.with_details(std::array::from_fn(|cell| detail(sums, cell))),
            None => thumbnail,
        }
    }
}

/// A cell's brightness relative to the mean of the nine cells in its cell of the thumbnail.
fn detail(sums: &[(u64, u64)], cell: usize) -> u8 {
    let side = Thumbnail::DETAIL_SIDE;
    let mean = |at: usize| i64::try_from(sums[at].0 / sums[at].1.max(1)).unwrap_or_default();
    let first = cell / side / 3 * 3 * side + cell % side / 3 * 3;
    let around = (0..9).map(|at| mean(first + at / 3 * side + at % 3)).sum::<i64>();
    // Rounded to the nearest step; multiplied by nine to keep to integers.
    let steps = (9 * mean(cell) - around + 9 * STEP / 2).div_euclid(9 * STEP);
    u8::try_from(steps.clamp(-8, 7) + 8).unwrap_or_default()
}

/// A pixel's colour on white, and its alpha, from 8-bit samples: grey, grey and alpha, RGB, or RGB and alpha.
///
/// On white, because the colour of a fully transparent pixel is not shown and so has no meaning.
pub(super) fn colour(samples: &[u8]) -> [u8; 4] {
    match *samples {
        [grey] => on_white([grey; 3], u8::MAX),
        [grey, alpha] => on_white([grey; 3], alpha),
        [red, green, blue] => on_white([red, green, blue], u8::MAX),
        [red, green, blue, alpha, ..] => on_white([red, green, blue], alpha),
        [] => [0, 0, 0, u8::MAX],
    }
}

/// A pixel's colour from inverted CMYK: the light that each ink leaves.
pub(super) fn of_inks([cyan, magenta, yellow, black]: [u8; 4]) -> [u8; 4] {
    on_white([cyan, magenta, yellow].map(|ink| scaled(ink, black)), u8::MAX)
}

fn on_white(colour: [u8; 3], alpha: u8) -> [u8; 4] {
    let [red, green, blue] = colour.map(|value| scaled(value, alpha) + (u8::MAX - alpha));
    [red, green, blue, alpha]
}

fn scaled(value: u8, by: u8) -> u8 {
    u8::try_from(u16::from(value) * u16::from(by) / 255).unwrap_or(u8::MAX)
}
