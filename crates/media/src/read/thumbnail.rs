//! Shrinking a picture to a thumbnail, pixel by pixel, so that nobody needs to hold it whole.

use common::content::Thumbnail;

const CELLS: usize = Thumbnail::SIDE * Thumbnail::SIDE;

/// The sums of what was seen so far.
pub(super) struct Shrinking {
    width: u64,
    height: u64,
    sums: [[u64; 3]; CELLS],
    counts: [u64; CELLS],
}

impl Shrinking {
    pub(super) fn new(width: u32, height: u32) -> Self {
        Self { width: width.into(), height: height.into(), sums: [[0; 3]; CELLS], counts: [0; CELLS] }
    }

    /// Adds one pixel; what lies outside of the picture is ignored.
    pub(super) fn add(&mut self, x: u64, y: u64, colour: [u8; 3]) {
        if x >= self.width || y >= self.height {
            return;
        }
        let side = Thumbnail::SIDE as u64;
        let Ok(cell) = usize::try_from(y * side / self.height * side + x * side / self.width) else { return };
        for (sum, value) in self.sums[cell].iter_mut().zip(colour) {
            *sum += u64::from(value);
        }
        self.counts[cell] += 1;
    }

    /// The mean of each cell; cells of pictures smaller than the thumbnail stay black.
    pub(super) fn finish(&self) -> Thumbnail {
        let mut values = [0; Thumbnail::BYTES];
        for (cell, sums) in values.chunks_exact_mut(3).enumerate() {
            let count = self.counts[cell].max(1);
            for (value, sum) in sums.iter_mut().zip(self.sums[cell]) {
                *value = u8::try_from(sum / count).unwrap_or(u8::MAX);
            }
        }
        Thumbnail::new(values)
    }
}

/// One pixel's colour, from samples of eight bits each: grey, grey and alpha, RGB, or RGB and alpha.
///
/// What is transparent is shown on white: the colours below it are nobody's business.
pub(super) fn colour(samples: &[u8]) -> [u8; 3] {
    match *samples {
        [grey] => [grey; 3],
        [grey, alpha] => on_white([grey; 3], alpha),
        [red, green, blue] => [red, green, blue],
        [red, green, blue, alpha, ..] => on_white([red, green, blue], alpha),
        [] => [0; 3],
    }
}

/// One pixel's colour, from the light that each of the four inks leaves.
pub(super) fn of_inks([cyan, magenta, yellow, black]: [u8; 4]) -> [u8; 3] {
    [cyan, magenta, yellow].map(|ink| scaled(ink, black))
}

fn on_white(colour: [u8; 3], alpha: u8) -> [u8; 3] {
    colour.map(|value| scaled(value, alpha) + (u8::MAX - alpha))
}

fn scaled(value: u8, by: u8) -> u8 {
    u8::try_from(u16::from(value) * u16::from(by) / 255).unwrap_or(u8::MAX)
}
