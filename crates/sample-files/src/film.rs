//! A film of one second: motion JPEG in MP4, with a silent sound track.

use super::metadata::Segments;
use super::{jpeg, painting};

const FRAMES: u32 = 10;
const WIDTH: u16 = 160;
const HEIGHT: u16 = 90;
const TIMESCALE: u32 = 1000;
const FRAME_TIME: u32 = TIMESCALE / FRAMES;
const DURATION: u32 = FRAMES * FRAME_TIME;
const MATRIX: [u32; 9] = [0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x4000_0000];

pub(super) fn encode(seed: u64) -> Vec<u8> {
    let frames: Vec<Vec<u8>> = (0..u64::from(FRAMES))
        .map(|frame| {
            jpeg::encode(
                &painting(seed.wrapping_add(frame << 40), WIDTH.into(), HEIGHT.into()),
                &Segments::default(),
            )
        })
        .collect();
    let ftyp = boxed(b"ftyp", &[b"isom\0\0\x02\0isomiso2mp41"]);
    // Chunk offsets depend on the length of the header, which does not depend on them.
    let header_length = (ftyp.len() + moov(&frames, 0).len() + 8) as u32;
    let mdat = boxed(b"mdat", &frames.iter().map(Vec::as_slice).collect::<Vec<_>>());
    [ftyp, moov(&frames, header_length), mdat].concat()
}

fn boxed(name: &[u8; 4], parts: &[&[u8]]) -> Vec<u8> {
    let length = 8 + parts.iter().map(|part| part.len()).sum::<usize>();
    let mut boxed = (length as u32).to_be_bytes().to_vec();
    boxed.extend(name);
    boxed.extend(parts.concat());
    boxed
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

fn moov(frames: &[Vec<u8>], data_at: u32) -> Vec<u8> {
    let mvhd_head = words(&[0, 0, 0, TIMESCALE, DURATION, 0x10000, 0x0100_0000, 0, 0]);
    let mvhd = boxed(b"mvhd", &[&mvhd_head, &words(&MATRIX), &words(&[0, 0, 0, 0, 0, 0, 3])]);
    let vmhd = boxed(b"vmhd", &[&words(&[1, 0, 0])]);
    let smhd = boxed(b"smhd", &[&words(&[0, 0])]);
    let size = [u32::from(WIDTH) << 16, u32::from(HEIGHT) << 16];
    let pictures = track(1, size, b"vide", &vmhd, &sample_table(frames, data_at));
    let sound = track(2, [0, 0], b"soun", &smhd, &silence());
    boxed(b"moov", &[&mvhd, &pictures, &sound])
}

fn track(number: u32, size: [u32; 2], handler: &[u8; 4], header: &[u8], samples: &[u8]) -> Vec<u8> {
    let tkhd_head = words(&[7, 0, 0, number, 0, DURATION, 0, 0, 0, 0]);
    let tkhd = boxed(b"tkhd", &[&tkhd_head, &words(&MATRIX), &words(&size)]);
    let mdhd = boxed(b"mdhd", &[&words(&[0, 0, 0, TIMESCALE, DURATION, 0x55C4_0000])]);
    let hdlr = boxed(b"hdlr", &[&words(&[0, 0]), handler, &words(&[0, 0, 0]), b"track\0"]);
    let dref = boxed(b"dref", &[&words(&[0, 1]), &boxed(b"url ", &[&words(&[1])])]);
    let minf = boxed(b"minf", &[header, &boxed(b"dinf", &[&dref]), samples]);
    boxed(b"trak", &[&tkhd, &boxed(b"mdia", &[&mdhd, &hdlr, &minf])])
}

/// PCM at 8000 samples per second, without any sample.
fn silence() -> Vec<u8> {
    let entry = words(&[0, 1, 0, 0, 0x0001_0010, 0, 8000 << 16]);
    let stsd = boxed(b"stsd", &[&words(&[0, 1]), &boxed(b"sowt", &[&entry])]);
    let empty = |name| boxed(name, &[&words(&[0, 0])]);
    let stsz = boxed(b"stsz", &[&words(&[0, 0, 0])]);
    boxed(b"stbl", &[&stsd, &empty(b"stts"), &empty(b"stsc"), &stsz, &empty(b"stco")])
}

fn sample_table(frames: &[Vec<u8>], data_at: u32) -> Vec<u8> {
    // Object type 0x6C is JPEG (ISO/IEC 14496-1).
    let esds = boxed(
        b"esds",
        &[&[0, 0, 0, 0, 3, 21, 0, 0, 0, 4, 13, 0x6C, 0x11, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 6, 1, 2][..]],
    );
    let mut entry = vec![0, 0, 0, 0, 0, 0, 0, 1];
    entry.extend([0; 16]);
    entry.extend(WIDTH.to_be_bytes());
    entry.extend(HEIGHT.to_be_bytes());
    entry.extend(words(&[0x48_0000, 0x48_0000, 0]));
    entry.extend([0, 1]);
    entry.extend([0; 32]);
    entry.extend([0, 24, 0xFF, 0xFF]);
    let mp4v = boxed(b"mp4v", &[&entry, &esds]);
    let count = frames.len() as u32;
    let stsd = boxed(b"stsd", &[&words(&[0, 1]), &mp4v]);
    let stts = boxed(b"stts", &[&words(&[0, 1, count, FRAME_TIME])]);
    let stsc = boxed(b"stsc", &[&words(&[0, 1, 1, count, 1])]);
    let sizes: Vec<u32> = frames.iter().map(|frame| frame.len() as u32).collect();
    let stsz = boxed(b"stsz", &[&words(&[0, 0, count]), &words(&sizes)]);
    let stco = boxed(b"stco", &[&words(&[0, 1, data_at])]);
    boxed(b"stbl", &[&stsd, &stts, &stsc, &stsz, &stco])
}

/// Makes the last box state more bytes than there are.
pub(super) fn break_last_box(film: &mut [u8]) {
    overwrite(film, find_last(film, b"free"), -4, &1000_u32.to_be_bytes());
}

/// Turns the sound track into free space.
pub(super) fn lose_sound(film: &mut [u8]) {
    overwrite(film, find_last(film, b"trak"), 0, b"free");
}

/// Halves the stated duration.
pub(super) fn shorten(film: &mut [u8]) {
    overwrite(film, find_last(film, b"mvhd"), 20, &(DURATION / 2).to_be_bytes());
}

/// Halves the stated width.
pub(super) fn narrow(film: &mut [u8]) {
    let size = words(&[u32::from(WIDTH) << 16, u32::from(HEIGHT) << 16]);
    let at = film.windows(size.len()).position(|window| window == size);
    overwrite(film, at, 0, &(u32::from(WIDTH / 2) << 16).to_be_bytes());
}

fn find_last(film: &[u8], name: &[u8; 4]) -> Option<usize> {
    film.windows(4).rposition(|window| window == name)
}

fn overwrite(film: &mut [u8], from: Option<usize>, offset: isize, with: &[u8]) {
    let at = from.and_then(|from| from.checked_add_signed(offset));
    if let Some(part) = at.and_then(|at| film.get_mut(at..at + with.len())) {
        part.copy_from_slice(with);
    }
}
