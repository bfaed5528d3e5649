//! Hostile files, crafted so that reading them takes far more than their length suggests, each in two sizes; and what a run over
//! a library with such files takes.

use std::io::Write;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::ensure;
use flate2::write::ZlibEncoder;
use flate2::{Compression, Crc};

use crate::lab::{HOSTILE_EVERY, Lab, Library};
use crate::table::{Table, mebibytes};
use crate::usage;

/// Maximum memory of the program and its readers together, in bytes.
const MOST_MEMORY: u64 = 800 << 20;
/// Maximum duration of a job for such a file.
const LONGEST: Duration = Duration::from_mins(2);

const KINDS: [fn(u32) -> Vec<u8>; 6] =
    [flate_bomb, deep_document, many_scans, giant_strips, giant_tile, circular_exif];

/// A file of each kind in turn, alternately in both sizes. The number makes its content unique.
pub(crate) fn file(number: u32) -> (&'static str, Vec<u8>) {
    let kind = number as usize % KINDS.len();
    let extension = ["pdf", "pdf", "jpg", "tif", "tif", "png"][kind];
    let mut content = KINDS[kind](1 + number / long(KINDS.len()) % 2);
    // Inserted before the end marker, because a PDF is read from its end.
    let end = content.len() - if extension == "pdf" { "%%EOF".len() } else { 0 };
    content.splice(end..end, format!("% {number}\n").into_bytes());
    (extension, content)
}

pub(crate) async fn measure(is_short: bool) -> anyhow::Result<Table> {
    let pictures = if is_short { 20 } else { 120 };
    let how = format!(
        "{pictures} pictures, every tenth of them hostile: compressed documents of 3 and 6 GiB, nested ones, JPEGs of 450 and 900 \
         scans, TIFFs of 1 and 16 strips of 128 MiB, TIFFs whose strip is a JPEG of 256 or 1024 megapixels, PNGs with EXIF that \
         points into itself. Memory is that of the program and its readers together, sampled every 50 ms."
    );
    let mut table = Table::new("Hostile files", how);
    let library = Library { pictures, is_hostile: true, ..Library::default() };
    for way in ["`connector sync`", "one worker"] {
        let lab = Lab::new(&library).await?;
        let workers = lab.workers(usize::from(way == "one worker"))?;
        let (program, arguments): (_, &[&str]) = match workers.first() {
            Some(_) => ("producer", &["sync", "--full", "--wait"]),
            None => ("connector", &["sync", "--full"]),
        };
        let worker = workers.first().and_then(tokio::process::Child::id);
        let mut peak = 0;
        let look = |pid| peak = peak.max(usage::of_tree(worker.unwrap_or(pid)));
        let run = lab.program(program, arguments)?.spawn()?;
        let (took, _) = usage::to_its_end_while(run, &[0, 6], look).await?;
        let hostile = lab.assert_ordinary_protected().await?;
        let figure = format!(
            "{} ordinary ones protected, {hostile} of {} hostile ones, the others failed with the reason, in {:.1} s; at most {}",
            pictures - pictures / HOSTILE_EVERY,
            pictures / HOSTILE_EVERY,
            took.as_secs_f64(),
            mebibytes(peak)
        );
        table.add(way, figure);
        ensure!(peak > 0, "the program was not seen at work");
        table.promise(
            format!("hostile files, {way}: under 800 MiB in all"),
            mebibytes(peak),
            peak < MOST_MEMORY,
        );
        table.promise(
            format!("hostile files, {way}: each ends within two minutes"),
            format!("all in {:.1} s", took.as_secs_f64()),
            took < LONGEST,
        );
    }
    Ok(table)
}

/// A length as the formats store it; the lengths here fit.
fn short(length: usize) -> u16 {
    u16::try_from(length).unwrap_or(u16::MAX)
}

fn long(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

fn compressed(content: &[u8], times: usize) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    // Writing to memory does not fail.
    drop((0..times).try_for_each(|_| encoder.write_all(content)));
    encoder.finish().unwrap_or_default()
}

/// A cross-reference table that is compressed three times and expands to 3 GiB times `size`.
fn flate_bomb(size: u32) -> Vec<u8> {
    static GIBIBYTE: OnceLock<Vec<u8>> = OnceLock::new();
    let once = GIBIBYTE.get_or_init(|| compressed(&vec![0; 1 << 20], 1 << 10));
    // Many readers treat concatenated streams as one; for the others, the first one is enough.
    let inner = compressed(&once.repeat(3 * size as usize), 1);
    let stream = compressed(&inner, 1);
    let head = format!(
        "1 0 obj\n<< /Type /XRef /Size 1 /W [ 1 2 1 ] /Root 2 0 R /Filter [ /FlateDecode /FlateDecode /FlateDecode ] \
         /Length {} >>\nstream\n",
        stream.len()
    );
    document(&[head.as_bytes(), &stream, b"\nendstream\nendobj\n"].concat())
}

/// Nested arrays, 250,000 deep times `size`.
fn deep_document(size: u32) -> Vec<u8> {
    let depth = 250_000 * size as usize;
    document(format!("1 0 obj\n{}{}\nendobj\n", "[".repeat(depth), "]".repeat(depth)).as_bytes())
}

fn document(object: &[u8]) -> Vec<u8> {
    const HEAD: &[u8] = b"%PDF-1.5\n";
    let end = format!("startxref\n{}\n%%EOF", HEAD.len());
    [HEAD, object, end.as_bytes()].concat()
}

fn segment(marker: u8, content: &[u8]) -> Vec<u8> {
    let length = (short(content.len()) + 2).to_be_bytes();
    [&[0xFF, marker][..], &length, content].concat()
}

/// The head of a JPEG whose Huffman tables have the single code 0, for a zero coefficient or for this run.
fn jpeg_head(frame: u8, side: u16, components: u8, run: u8) -> Vec<u8> {
    let side = side.to_be_bytes();
    let mut about = [&[8][..], &side, &side, &[components]].concat();
    about.extend((1..=components).flat_map(|id| [id, 0x11, 0]));
    let table = |class: u8, code: u8| {
        let mut lengths = [0; 16];
        lengths[0] = 1;
        segment(0xC4, &[&[class][..], &lengths, &[code]].concat())
    };
    let quantities = segment(0xDB, &[&[0][..], &[1; 64]].concat());
    [vec![0xFF, 0xD8], quantities, segment(frame, &about), table(0, 0), table(0x10, run)].concat()
}

/// 64 megapixels in 450 scans times `size`; each scan has few bytes but covers the whole picture.
fn many_scans(size: u32) -> Vec<u8> {
    const SIDE: u16 = 8000;
    /// An end-of-band run of 2^14 blocks, plus the number in the 14 bits that follow.
    const LONG_RUN: u8 = 0xE0;
    let blocks = usize::from(SIDE / 8).pow(2);
    let runs = blocks.div_ceil((1 << 15) - 1);
    // Per run a 0 bit and 14 one bits.
    let bits: Vec<u8> = (0..runs).flat_map(|_| [&[0][..], &[1; 14]].concat()).collect();
    let bytes =
        bits.chunks(8).map(|bits| bits.iter().fold(0, |byte, bit| byte << 1 | bit) << (8 - bits.len()));
    let coded: Vec<u8> =
        bytes.flat_map(|byte: u8| if byte == 0xFF { vec![0xFF, 0] } else { vec![byte] }).collect();
    let first = [segment(0xDA, &[1, 1, 0, 0, 0, 0]), vec![0; blocks.div_ceil(8)]].concat();
    let scan = [segment(0xDA, &[1, 1, 0, 1, 63, 0]), coded].concat();
    [jpeg_head(0xC2, SIDE, 1, LONG_RUN), first, scan.repeat(450 * size as usize), vec![0xFF, 0xD9]].concat()
}

fn directory(mut data: Vec<u8>, entries: &[(u16, u32, u32)]) -> Vec<u8> {
    let at = long(data.len()).to_le_bytes();
    data[4..8].copy_from_slice(&at);
    data.extend(short(entries.len()).to_le_bytes());
    for (tag, count, value) in entries {
        const LONG: u16 = 4;
        data.extend([tag.to_le_bytes(), LONG.to_le_bytes()].concat());
        data.extend([count.to_le_bytes(), value.to_le_bytes()].concat());
    }
    data.extend([0; 4]);
    data
}

/// One or 16 strips of 128 MiB that share the same bytes.
fn giant_strips(size: u32) -> Vec<u8> {
    static STRIP: OnceLock<Vec<u8>> = OnceLock::new();
    const WIDTH: u32 = 1 << 16;
    const ROWS: u32 = 1 << 11;
    const AT: u32 = 8;
    let strip = STRIP.get_or_init(|| compressed(&vec![0; 1 << 20], 128));
    let count = if size == 1 { 1 } else { 16 };
    let mut data = b"II*\0\0\0\0\0".to_vec();
    data.extend(strip);
    let length = long(strip.len());
    let (mut offsets, mut lengths) = (AT, length);
    if count > 1 {
        offsets = long(data.len());
        data.extend(AT.to_le_bytes().repeat(count as usize));
        lengths = long(data.len());
        data.extend(length.to_le_bytes().repeat(count as usize));
    }
    let pixels = [(256, 1, WIDTH), (257, 1, ROWS * count), (258, 1, 8), (259, 1, 8), (262, 1, 1)];
    let strips = [(273, count, offsets), (277, 1, 1), (278, 1, ROWS), (279, count, lengths)];
    directory(data, &[&pixels[..], &strips].concat())
}

/// A picture of 16 × 16 pixels whose only strip is a JPEG of 256 or 1024 megapixels.
fn giant_tile(size: u32) -> Vec<u8> {
    const SIDE: u32 = 16;
    let across = short(16384 * size as usize) - u16::from(size > 1);
    let scan = segment(0xDA, &[3, 1, 0, 2, 0, 3, 0, 0, 0, 0]);
    let strip = [jpeg_head(0xC2, across, 3, 0), scan, vec![0; 2000], vec![0xFF, 0xD9]].concat();
    let mut data = b"II*\0\0\0\0\0".to_vec();
    data.extend(&strip);
    let pixels = [(256, 1, SIDE), (257, 1, SIDE), (258, 1, 8), (259, 1, 7), (262, 1, 6)];
    let strips = [(273, 1, 8), (277, 1, 3), (278, 1, SIDE), (279, 1, long(strip.len()))];
    directory(data, &[&pixels[..], &strips].concat())
}

/// EXIF of 100 kB times `size`: directories that begin within the entries of others.
fn circular_exif(size: u32) -> Vec<u8> {
    let pointers = 100_000 * size / 24;
    let start = 8 + 2 + 12 * pointers;
    let mut exif = [&b"MM\0\x2a\0\0\0\x08"[..], &short(pointers as usize).to_be_bytes()].concat();
    for pointer in 0..pointers {
        exif.extend([0x87, 0x69, 0, 4, 0, 0, 0, 1]);
        exif.extend((start + pointer).to_be_bytes());
    }
    exif.resize(100_000 * size as usize, 0x77);
    let header = [0, 0, 0, 8, 0, 0, 0, 8, 8, 2, 0, 0, 0];
    let chunks = [
        (b"IHDR", header.to_vec()),
        (b"eXIf", exif),
        (b"IDAT", compressed(&[0; 8 * 25], 1)),
        (b"IEND", Vec::new()),
    ];
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    for (name, content) in chunks {
        let named = [&name[..], &content].concat();
        let mut sum = Crc::new();
        sum.update(&named);
        png.extend(long(content.len()).to_be_bytes());
        png.extend(named);
        png.extend(sum.sum().to_be_bytes());
    }
    png
}
