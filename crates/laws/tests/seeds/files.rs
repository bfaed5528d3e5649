use std::io::Cursor;

use image::codecs::gif::GifEncoder;
use image::{DynamicImage, Frame, ImageFormat};
use media::{Checks, ContentHash, read};
use sample_files::{Defect, Format, file};
use tiff::encoder::{Compression, DeflateLevel, TiffEncoder, colortype};

const FORMATS: [Format; 6] = [Format::Jpeg, Format::Png, Format::Tiff, Format::Mp4, Format::Pdf, Format::Wav];

/// Small, so that the fuzzer tries many per second; one is large enough to have details.
const SIZES: [(u32, u32); 3] = [(7, 5), (40, 30), (400, 390)];

const XMP: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";

fn painting(width: u32, height: u32) -> DynamicImage {
    image::load_from_memory(&file(Format::Png, 2, width, height)).unwrap()
}

fn of_sizes(format: Format) -> Vec<Vec<u8>> {
    (2..).zip(SIZES).map(|(seed, (width, height))| file(format, seed, width, height)).collect()
}

fn written(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    picture.write_to(&mut file, format).unwrap();
    file.into_inner()
}

pub(super) fn jpegs() -> Vec<Vec<u8>> {
    let grey = written(&painting(40, 30).into_luma8().into(), ImageFormat::Jpeg);
    of_sizes(Format::Jpeg).into_iter().chain([grey]).collect()
}

/// PNG in each colour type and bit depth.
pub(super) fn pngs() -> Vec<Vec<u8>> {
    let picture = painting(40, 30);
    let kinds: [DynamicImage; 6] = [
        picture.to_luma8().into(),
        picture.to_luma_alpha16().into(),
        picture.to_rgb8().into(),
        picture.to_rgb16().into(),
        picture.to_rgba8().into(),
        picture.to_luma16().into(),
    ];
    let kinds = kinds.iter().map(|picture| written(picture, ImageFormat::Png));
    of_sizes(Format::Png).into_iter().chain(kinds).collect()
}

pub(super) fn gifs() -> Vec<Vec<u8>> {
    let gif = |frames: usize| {
        let mut file = Vec::new();
        let frame = || Frame::new(painting(40, 30).into_rgba8());
        GifEncoder::new(&mut file).encode_frames((0..frames).map(|_| frame())).unwrap();
        file
    };
    vec![gif(1), gif(3)]
}

/// TIFF with each compression, and a `BigTIFF`.
pub(super) fn tiffs() -> Vec<Vec<u8>> {
    let pixels = painting(40, 30).into_rgb8();
    let packings = [
        Compression::Uncompressed,
        Compression::Lzw,
        Compression::Deflate(DeflateLevel::Fast),
        Compression::Packbits,
    ];
    let packed = packings.map(|packing| {
        let mut file = Cursor::new(Vec::new());
        let encoder = TiffEncoder::new(&mut file).unwrap();
        encoder.with_compression(packing).write_image::<colortype::RGB8>(40, 30, &pixels).unwrap();
        file.into_inner()
    });
    let mut big = Cursor::new(Vec::new());
    let mut encoder = TiffEncoder::new_big(&mut big).unwrap();
    encoder.write_image::<colortype::CMYK8>(30, 30, &pixels.as_raw()[..30 * 30 * 4]).unwrap();
    encoder.write_image::<colortype::Gray16>(30, 30, &[999; 900]).unwrap();
    of_sizes(Format::Tiff).into_iter().take(2).chain(packed).chain([big.into_inner()]).collect()
}

/// WebP: still, and animated with the still picture in each frame.
pub(super) fn webps() -> Vec<Vec<u8>> {
    let still = written(&painting(40, 30), ImageFormat::WebP);
    let place = [0, 0, 0, 0, 0, 0, 39, 0, 0, 29, 0, 0, 100, 0, 0, 0];
    let frame = chunk(b"ANMF", &[&place[..], &still[12..]].concat());
    let head = [&b"WEBP"[..], &chunk(b"VP8X", &[0b10, 0, 0, 0, 39, 0, 0, 29, 0, 0])].concat();
    let moving = chunk(b"RIFF", &[&head[..], &chunk(b"ANIM", &[0; 6]), &frame, &frame].concat());
    let xmp = segments().into_iter().find_map(|segment| Some(segment.strip_prefix(XMP)?.to_vec())).unwrap();
    let exif = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    let texts = [chunk(b"EXIF", exif), chunk(b"XMP ", &xmp)];
    let extended =
        [&b"WEBP"[..], &chunk(b"VP8X", &[0b1100, 0, 0, 0, 39, 0, 0, 29, 0, 0]), &still[12..]].concat();
    vec![still, moving, chunk(b"RIFF", &[extended, texts.concat()].concat())]
}

fn chunk(name: &[u8], content: &[u8]) -> Vec<u8> {
    [name, &u32::try_from(content.len()).unwrap().to_le_bytes(), content].concat()
}

fn boxed(name: &[u8], content: &[u8]) -> Vec<u8> {
    [&u32::try_from(content.len() + 8).unwrap().to_be_bytes()[..], name, content].concat()
}

fn numbers(numbers: &[u32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_be_bytes()).collect()
}

/// The sandbox's film, the same with each defect, and a fragmented one.
pub(super) fn films() -> Vec<Vec<u8>> {
    let film = || file(Format::Mp4, 2, 40, 30);
    let defects = [Defect::BrokenContainer, Defect::TrackLost, Defect::Shortened, Defect::Narrow];
    let extends = boxed(b"trex", &numbers(&[0, 1, 1, 40, 0, 0]));
    let run = boxed(b"trun", &numbers(&[0x0000_0101, 2, 8, 40, 60]));
    let head = boxed(b"tfhd", &numbers(&[8, 1, 50]));
    let fragment = boxed(b"moof", &boxed(b"traf", &[head, run].concat()));
    let track = boxed(b"trak", &boxed(b"mdia", &boxed(b"mdhd", &numbers(&[0, 0, 0, 100, 0, 0]))));
    let header = boxed(b"mvhd", &numbers(&[0, 0, 0, 1000, 0]));
    let moov = boxed(b"moov", &[header, track, boxed(b"mvex", &extends)].concat());
    let fragmented = [boxed(b"ftyp", b"isom\0\0\0\0isom"), moov, fragment.clone(), fragment].concat();
    defects.map(|defect| defect.applied_to(film())).into_iter().chain([film(), fragmented]).collect()
}

pub(super) fn pdfs() -> Vec<Vec<u8>> {
    let pdf = file(Format::Pdf, 2, 40, 30);
    vec![Defect::PageLost.applied_to(pdf.clone()), pdf]
}

/// The contents of the segments of the sandbox's JPEG.
fn segments() -> Vec<Vec<u8>> {
    let picture = file(Format::Jpeg, 2, 7, 5);
    let (mut rest, mut found) = (&picture[2..], Vec::new());
    while let [0xFF, marker, high, low, ..] = rest
        && *marker != 0xDA
    {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        found.push(rest[4..2 + length].to_vec());
        rest = &rest[2 + length..];
    }
    found
}

/// Metadata of each kind, after the byte that selects it.
pub(super) fn metadata() -> Vec<Vec<u8>> {
    let prefixes: [&[u8]; 4] = [b"Exif\0\0", XMP, b"Photoshop 3.0\0", b"ICC_PROFILE\0"];
    let mut found = Vec::new();
    for (kind, prefix) in (0..).zip(prefixes) {
        let behind = prefix.len() + if kind == 3 { 2 } else { 0 };
        found.extend(
            segments()
                .iter()
                .filter(|segment| segment.starts_with(prefix))
                .map(|it| [&[kind], &it[behind..]].concat()),
        );
    }
    assert_eq!(found.len(), prefixes.len(), "one of each");
    found
}

pub(super) fn of_each_kind() -> Vec<Vec<u8>> {
    let heads: [&[u8]; 8] = [
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%!PS-Adobe-3.0 EPSF-3.0",
        b"8BPS\0\x01",
        b"II*\0\x10\0\0\0CR\x02\0",
        b"MM\0*\0\0\0\x08\0\x01\xC6\x12\0\x01\0\0\0\x04\x01\x04\0\0",
        b"\0\0\0\x18ftypmif1\0\0\0\0miafheic",
        b"\0\0\0\x18ftypqt  \0\0\0\0miafheic\0\0\0\x08moov",
        b"BM\0\0\0\0",
    ];
    let sandbox = FORMATS.map(|format| file(format, 2, 40, 30));
    let others = [gifs().remove(0), webps().remove(0)];
    sandbox.into_iter().chain(others).chain(heads.map(<[u8]>::to_vec)).collect()
}

/// The facts of each kind of file, paired with those of the same file in another form.
pub(super) fn pairs() -> Vec<Vec<u8>> {
    let facts = |file: &[u8]| {
        read(Cursor::new(file), &Checks::default())
            .into_facts(ContentHash::of(file).unwrap(), file.len() as u64)
    };
    let pair = |left: &[u8], right: &[u8]| serde_json::to_vec(&[facts(left), facts(right)]).unwrap();
    let of_kinds = of_each_kind().into_iter().map(|file| pair(&file, &file[..file.len() / 2]));
    let films = films();
    of_kinds.chain([pair(&films[0], &films[5]), pair(&jpegs()[1], &jpegs()[2])]).collect()
}
