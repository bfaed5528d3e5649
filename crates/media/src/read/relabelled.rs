//! Presents TIFF files in forms that the decoder does not support as ones that it does.

use std::io::{self, Read, Seek, SeekFrom};

use super::Source;
use super::directories::{Directories, Entry};

const WIDTH: u64 = 256;
const HEIGHT: u64 = 257;
const BITS: u64 = 258;
const PHOTOMETRIC: u64 = 262;
const SAMPLES: u64 = 277;
const ROWS_A_STRIP: u64 = 278;
const PLANES: u64 = 284;
const PREDICTOR: u64 = 317;
const COMPRESSION: u64 = 259;
const TILE_WIDTH: u64 = 322;
const EXTRA_SAMPLES: u64 = 338;
const SAMPLE_FORMAT: u64 = 339;
const SUBSAMPLING: u64 = 530;

/// Compressions that work on bytes: none, LZW, Deflate (two codes) and `PackBits`.
const OF_BYTES: [u64; 5] = [1, 5, 8, 32946, 32773];

/// How to interpret the samples that the decoder returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// As they are.
    Plain,
    /// Indices into a colour table.
    Palette,
    /// Lightness and two colour values, which may be signed.
    Lab { is_signed: bool },
    /// Rows of bytes that hold 12-bit samples.
    Twelve { width: u32, height: u32, samples: usize },
    /// Blocks of across × down pixels: the brightness of each pixel, then two colour differences for all of them.
    Subsampled { width: u32, height: u32, across: usize, down: usize },
}

/// A file in which some entries of the first directory read as other values.
pub(super) struct Relabelled<S> {
    file: S,
    at: u64,
    is_little: bool,
    /// Offsets of entries, and the value that each reads as.
    labels: Vec<(u64, u32)>,
}

/// Opens a TIFF by its first directory; a file in any other form is presented unchanged.
pub(super) fn open<S: Source>(mut file: S) -> io::Result<(Form, Relabelled<S>)> {
    let mut start = [0; 8];
    file.rewind()?;
    file.read_exact(&mut start)?;
    let is_little = start[0] == b'I';
    let mut directories = Directories { file: &mut file, is_little };
    let first = directories.number(&start[4..]);
    let is_classic = directories.number(&start[2..4]) == 42;
    let entries = if is_classic { directories.entries(first)? } else { Vec::new() };
    let (form, labels) = Labels { directories, entries }.form().unwrap_or_else(|| (Form::Plain, Vec::new()));
    file.rewind()?;
    Ok((form, Relabelled { file, at: 0, is_little, labels }))
}

struct Labels<'a, S> {
    directories: Directories<'a, S>,
    entries: Vec<Entry>,
}

impl<S: Source> Labels<'_, S> {
    fn entry(&self, tag: u64) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.tag == tag)
    }

    /// The value of a tag with a single SHORT or LONG.
    fn stated(&self, tag: u64) -> Option<u32> {
        let entry = self.entry(tag).filter(|entry| entry.count == 1)?;
        u32::try_from(self.directories.first(entry)).ok()
    }

    /// The SHORTs of an entry: the first eight.
    fn shorts(&mut self, tag: u64) -> Option<Vec<u64>> {
        let entry = *self.entry(tag)?;
        let bytes = self.directories.content(&entry, 2, 8).ok()?;
        let count = usize::try_from(entry.count).ok()?.min(8);
        Some(bytes.chunks_exact(2).take(count).map(|short| self.directories.number(short)).collect())
    }

    fn form(&mut self) -> Option<(Form, Vec<(u64, u32)>)> {
        let photometric = self.stated(PHOTOMETRIC)?;
        let bits = self.shorts(BITS)?;
        let samples = self.stated(SAMPLES).unwrap_or(1);
        let label = |it: &Self, tag, value| it.entry(tag).map(|entry| (entry.at, value));
        match photometric {
            3 if samples == 1 && bits.first() <= Some(&8) => {
                Some((Form::Palette, vec![label(self, PHOTOMETRIC, 1)?]))
            }
            8 | 9 if samples == 3 => {
                Some((Form::Lab { is_signed: photometric == 8 }, vec![label(self, PHOTOMETRIC, 2)?]))
            }
            _ => {
                let (width, height) = (self.stated(WIDTH)?, self.stated(HEIGHT)?);
                let is_of_bytes = OF_BYTES.contains(&self.stated(COMPRESSION).unwrap_or(1).into())
                    && self.stated(PLANES).unwrap_or(1) == 1
                    && self.stated(PREDICTOR).unwrap_or(1) == 1
                    && self.entry(TILE_WIDTH).is_none()
                    && self.entry(EXTRA_SAMPLES).is_none();
                if !is_of_bytes {
                    return None;
                }
                let (form, row, rows_a_row) =
                    if bits.iter().all(|bits| *bits == 12) && matches!(photometric, 0 | 1 | 2 | 5) {
                        let samples = usize::try_from(samples).ok().filter(|it| (1..=4).contains(it))?;
                        let bytes = (u64::from(width) * samples as u64 * 12).div_ceil(8);
                        (Form::Twelve { width, height, samples }, bytes, 1)
                    } else if photometric == 6 && samples == 3 && bits.iter().all(|bits| *bits == 8) {
                        let sampling = self.shorts(SUBSAMPLING).unwrap_or_else(|| vec![2, 2]);
                        let [across @ (1 | 2 | 4), down @ (1 | 2 | 4)] = sampling[..] else { return None };
                        let bytes = u64::from(width).div_ceil(across) * (across * down + 2);
                        let form = Form::Subsampled {
                            width,
                            height,
                            across: usize::try_from(across).ok()?,
                            down: usize::try_from(down).ok()?,
                        };
                        (form, bytes, u32::try_from(down).ok()?)
                    } else {
                        return None;
                    };
                let rows = self.stated(ROWS_A_STRIP).unwrap_or(height).min(height);
                if rows == 0 || (rows < height && rows % rows_a_row != 0) {
                    return None;
                }
                // The caller interprets the samples; the decoder only has to invert them if white is 0.
                let labels = [
                    (WIDTH, u32::try_from(row).ok()?),
                    (HEIGHT, height.div_ceil(rows_a_row)),
                    (BITS, 8),
                    (PHOTOMETRIC, photometric.min(1)),
                    (SAMPLES, 1),
                    (ROWS_A_STRIP, rows.div_ceil(rows_a_row)),
                    (SAMPLE_FORMAT, 1),
                ];
                let labels = labels.into_iter().filter_map(|(tag, value)| label(self, tag, value));
                Some((form, labels.collect()))
            }
        }
    }
}

impl<S: Seek> Seek for Relabelled<S> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.at = self.file.seek(to)?;
        Ok(self.at)
    }
}

impl<S: Read> Read for Relabelled<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.file.read(buffer)?;
        for (place, value) in &self.labels {
            // After the tag: the type LONG, the count 1, and the value.
            let entry = [&4_u16.to_be_bytes()[..], &1_u32.to_be_bytes(), &value.to_be_bytes()];
            let little = [&4_u16.to_le_bytes()[..], &1_u32.to_le_bytes(), &value.to_le_bytes()];
            let entry = if self.is_little { little.concat() } else { entry.concat() };
            for (at, byte) in (place + 2..).zip(entry) {
                let within = at.checked_sub(self.at).and_then(|at| usize::try_from(at).ok());
                if let Some(seen) = within.and_then(|at| buffer[..length].get_mut(at)) {
                    *seen = byte;
                }
            }
        }
        self.at += length as u64;
        Ok(length)
    }
}

impl Form {
    /// Passes the pixels of a row of bytes, or of a row of blocks, to `add`.
    pub(super) fn row(self, number: u64, bytes: &[u8], mut add: impl FnMut(u64, u64, &[u8])) {
        match self {
            Self::Plain | Self::Palette | Self::Lab { .. } => {}
            Self::Twelve { width, samples, .. } => {
                // The upper eight of the twelve bits.
                let sample = |at: usize| {
                    let (first, is_odd) = (at * 3 / 2, at % 2 == 1);
                    let pair = [first, first + 1].map(|at| bytes.get(at).copied().unwrap_or_default());
                    if is_odd { pair[0] << 4 | pair[1] >> 4 } else { pair[0] }
                };
                for x in 0..width as usize {
                    let pixel = [0, 1, 2, 3].map(|part| sample(x * samples + part));
                    add(x as u64, number, &pixel[..samples]);
                }
            }
            Self::Subsampled { across, down, .. } => {
                for (block, values) in bytes.chunks_exact(across * down + 2).enumerate() {
                    let (brightnesses, differences) = values.split_at(across * down);
                    for (at, brightness) in brightnesses.iter().enumerate() {
                        let (x, y) = ((block * across + at % across) as u64, (at / across) as u64);
                        add(x, number * down as u64 + y, &[*brightness, differences[0], differences[1]]);
                    }
                }
            }
        }
    }
}
