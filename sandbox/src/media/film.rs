//! A film of one second: motion JPEG in MP4.

use super::metadata::Segments;
use super::{jpeg, painting};

const FRAMES: u32 = 10;
const WIDTH: u16 = 160;
const HEIGHT: u16 = 90;
const TIMESCALE: u32 = 1000;
const FRAME_TIME: u32 = TIMESCALE / FRAMES;

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
    // Chunk offsets depend on the header's size, which does not depend on them.
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
    let duration = FRAMES * FRAME_TIME;
    let matrix = words(&[0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x4000_0000]);
    let mvhd_head = words(&[0, 0, 0, TIMESCALE, duration, 0x10000, 0x0100_0000, 0, 0]);
    let mvhd = boxed(b"mvhd", &[&mvhd_head, &matrix, &words(&[0, 0, 0, 0, 0, 0, 2])]);
    let size = words(&[u32::from(WIDTH) << 16, u32::from(HEIGHT) << 16]);
    let tkhd = boxed(b"tkhd", &[&words(&[7, 0, 0, 1, 0, duration, 0, 0, 0, 0]), &matrix, &size]);
    let mdhd = boxed(b"mdhd", &[&words(&[0, 0, 0, TIMESCALE, duration, 0x55C4_0000])]);
    let hdlr = boxed(b"hdlr", &[&words(&[0, 0]), b"vide", &words(&[0, 0, 0]), b"video\0"]);
    let dref = boxed(b"dref", &[&words(&[0, 1]), &boxed(b"url ", &[&words(&[1])])]);
    let dinf = boxed(b"dinf", &[&dref]);
    let vmhd = boxed(b"vmhd", &[&words(&[1, 0, 0])]);
    let minf = boxed(b"minf", &[&vmhd, &dinf, &sample_table(frames, data_at)]);
    let mdia = boxed(b"mdia", &[&mdhd, &hdlr, &minf]);
    boxed(b"moov", &[&mvhd, &boxed(b"trak", &[&tkhd, &mdia])])
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
