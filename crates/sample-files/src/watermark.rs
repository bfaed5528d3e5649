//! The fake watermark: a slight change of the pixels, different each time; everything else stays.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use rand::{RngExt, SeedableRng};

use super::picture::Picture;
use super::{Format, tiff};

/// Pictures above this length, in bytes, are changed in place instead of being decoded.
const LARGEST_DECODED: u64 = 64 << 20;

/// The file cannot be watermarked.
#[derive(Debug)]
pub enum Unsupported {
    /// A kind of file that cannot be watermarked.
    Kind,
    /// It cannot be decoded as what its first bytes claim.
    Damaged,
    /// The disk failed.
    Io(io::Error),
}

impl From<io::Error> for Unsupported {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Writes a watermarked copy of `source` to `target`; another `mark` gives another copy.
pub fn watermark(source: &Path, target: &Path, mark: u64) -> Result<(), Unsupported> {
    let mut start = Vec::new();
    File::open(source)?.take(16).read_to_end(&mut start)?;
    let length = fs::metadata(source)?.len();
    match Format::detect(&start).ok_or(Unsupported::Kind)? {
        Format::Wav => Err(Unsupported::Kind),
        format @ (Format::Jpeg | Format::Png) if length <= LARGEST_DECODED => {
            let mut picture = Picture::read(format, &fs::read(source)?).ok_or(Unsupported::Damaged)?;
            picture.mark(mark);
            Ok(fs::write(target, picture.write(format))?)
        }
        Format::Tiff => {
            fs::copy(source, target)?;
            alter_in_place(target, length, mark)
        }
        // Appends a box or a comment that readers skip.
        Format::Mp4 => {
            append(source, target, &[&16_u32.to_be_bytes()[..], b"free", &mark.to_be_bytes()].concat())
        }
        Format::Pdf => append(source, target, format!("% {mark:016x}\n").as_bytes()),
        Format::Jpeg | Format::Png => Err(Unsupported::Damaged),
    }
}

fn alter_in_place(target: &Path, length: u64, mark: u64) -> Result<(), Unsupported> {
    let pixels =
        length.checked_sub(tiff::PIXELS_AT).filter(|pixels| *pixels > 0).ok_or(Unsupported::Damaged)?;
    let file = OpenOptions::new().read(true).write(true).open(target)?;
    let mut random = rand::rngs::StdRng::seed_from_u64(mark);
    for _ in 0..512 {
        let at = tiff::PIXELS_AT + random.random_range(0..pixels);
        let mut sample = [0];
        file.read_exact_at(&mut sample, at)?;
        file.write_all_at(&[sample[0] ^ 1], at)?;
    }
    Ok(())
}

fn append(source: &Path, target: &Path, more: &[u8]) -> Result<(), Unsupported> {
    fs::copy(source, target)?;
    OpenOptions::new().append(true).open(target)?.write_all(more)?;
    Ok(())
}
