//! Measures the similarity of watermarked pictures and of different pictures; run by `scripts/measure-thresholds`.
//!
//! The argument is a folder with one folder of pictures per kind. Each picture is cut into windows. Each window is compared,
//! as a worker compares files, with itself after a faint watermark and JPEG compression at quality 60 to 95, with its mirror
//! image and other faults, and with the windows of all other files of its kind.

#![expect(clippy::print_stdout, reason = "it is a program for people to read")]
#![expect(clippy::cast_precision_loss, reason = "shares and quantiles of a few million")]

use std::error::Error;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use image::codecs::jpeg::JpegEncoder;
use image::imageops::{crop_imm, flip_horizontal};
use image::{DynamicImage, Rgb, RgbImage, RgbaImage, imageops};
use media::{Check, Checks, Content, ContentHash, FileFacts, Likeness, View, check_result, likeness, read};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

const QUALITIES: [u8; 8] = [60, 65, 70, 75, 80, 85, 90, 95];
/// JPEG quality of the originals; cameras write 95 or better.
const ORIGINAL: u8 = 95;
const SIDES: [u32; 6] = [96, 192, 383, 512, 800, 1200];
/// Number of windows per kind, and how much of the brightness range a window must use to show anything.
const WINDOWS: usize = 660;
const LEAST_RANGE: u8 = 30;
const TRIES: usize = 20;

const MARK_TILE: usize = 8;

/// The faults applied to a window.
const FAULTS: [&str; 4] = ["mirrored", "red 10 % less", "lower third grey", "cut a tenth further right"];

/// Ranges of the shorter side that are reported together, in pixels.
const CLASSES: [[u32; 2]; 3] = [[384, 2000], [96, 383], [1, 95]];

struct Window {
    source: usize,
    shorter: u32,
    original: FileFacts,
    kept: Vec<FileFacts>,
    faulty: Vec<Option<FileFacts>>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(std::env::args().nth(1).ok_or("usage: thresholds FOLDER")?);
    let mut kinds = listed(&folder)?;
    kinds.retain(|kind| kind.is_dir());
    for kind in kinds {
        let windows = windows(&listed(&kind)?)?;
        let name = kind.file_name().unwrap_or_default().to_string_lossy().into_owned();
        for [least, most] in CLASSES {
            let of_class: Vec<_> = windows.iter().filter(|it| (least..=most).contains(&it.shorter)).collect();
            report(&format!("{name}, shorter side from {least} to {most}"), &of_class);
        }
    }
    Ok(())
}

fn listed(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files =
        std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    files.sort();
    Ok(files)
}

/// The same windows in every run: each file has its own seed.
fn windows(files: &[PathBuf]) -> Result<Vec<Window>, Box<dyn Error>> {
    let (next, found) = (Mutex::new(0..files.len()), Mutex::new(Vec::new()));
    let work = || {
        while let Some(source) = next.lock().ok().and_then(|mut next| next.next()) {
            let Ok(picture) = image::open(&files[source]) else {
                println!("not decoded: {}", files[source].display());
                continue;
            };
            let made = of_picture(source, &on_white(&picture.into_rgba8()), (WINDOWS / files.len()).max(2));
            if let Ok(mut found) = found.lock() {
                found.extend(made);
            }
        }
    };
    std::thread::scope(|scope| (0..2).for_each(|_| drop(scope.spawn(work))));
    let mut found = found.into_inner().map_err(|_| "a thread died")?;
    found.sort_by_key(|window| window.source);
    Ok(found)
}

fn on_white(picture: &RgbaImage) -> RgbImage {
    let mut white = RgbaImage::from_pixel(picture.width(), picture.height(), image::Rgba([255; 4]));
    imageops::overlay(&mut white, picture, 0, 0);
    DynamicImage::from(white).into_rgb8()
}

fn of_picture(source: usize, picture: &RgbImage, count: usize) -> Vec<Window> {
    let mut random = SmallRng::seed_from_u64(source as u64);
    let (width, height) = picture.dimensions();
    let mut windows = Vec::new();
    for number in 0..count {
        let side = SIDES[(source + number) % SIDES.len()];
        // The first window is the whole picture, unless it is very large.
        let (across, down) = match number {
            0 if width.max(height) <= 2000 => (width, height),
            _ => (side.min(width), (side * 3 / 4).min(height)),
        };
        let mut place = || (random.random_range(0..=width - across), random.random_range(0..=height - down));
        let cut = |left, top| crop_imm(picture, left, top, across, down).to_image();
        // Windows of empty paper or sky all look the same.
        let mut tried = (0..TRIES).map(|_| place()).map(|(left, top)| (left, top, cut(left, top)));
        let Some((left, top, window)) = tried.find(|(_, _, window)| shows_something(window)) else {
            continue;
        };
        let kept = QUALITIES.map(|quality| facts(&marked(&window, &mut random), quality));
        let further =
            (left + across.div_ceil(10) + across <= width).then(|| cut(left + across.div_ceil(10), top));
        let faulty = [
            Some(flip_horizontal(&window)),
            Some(changed(&window, |_, pixel| Rgb([pixel[0] - pixel[0] / 10, pixel[1], pixel[2]]))),
            Some(changed(&window, |y, pixel| if y < down * 2 / 3 { pixel } else { Rgb([128; 3]) })),
            further,
        ];
        let faulty = faulty.map(|picture| picture.map(|picture| facts(&picture, 90)));
        windows.push(Window {
            source,
            shorter: across.min(down),
            original: facts(&window, ORIGINAL),
            kept: kept.into(),
            faulty: faulty.into(),
        });
    }
    windows
}

fn shows_something(picture: &RgbImage) -> bool {
    let (least, most) =
        picture.iter().fold((u8::MAX, 0), |(least, most), it| (*it.min(&least), *it.max(&most)));
    most - least >= LEAST_RANGE
}

fn changed(picture: &RgbImage, change: impl Fn(u32, Rgb<u8>) -> Rgb<u8>) -> RgbImage {
    RgbImage::from_fn(picture.width(), picture.height(), |x, y| change(y, *picture.get_pixel(x, y)))
}

/// A watermark of at most three steps: noise, or a pattern of blocks of 8 × 8 pixels that repeats after 64.
fn marked(picture: &RgbImage, random: &mut SmallRng) -> RgbImage {
    let (strength, is_noise) = (random.random_range(1..=3_i16), random.random_bool(0.5));
    let tile: [i16; MARK_TILE * MARK_TILE] =
        std::array::from_fn(|_| if random.random_bool(0.5) { strength } else { -strength });
    let mut marked = picture.clone();
    for (x, y, pixel) in marked.enumerate_pixels_mut() {
        let at = |value: u32| value as usize / 8 % MARK_TILE;
        let change = if is_noise {
            random.random_range(-strength..=strength)
        } else {
            tile[at(y) * MARK_TILE + at(x)]
        };
        pixel.0 =
            pixel.0.map(|value| u8::try_from((i16::from(value) + change).clamp(0, 255)).unwrap_or_default());
    }
    marked
}

fn facts(picture: &RgbImage, quality: u8) -> FileFacts {
    let mut file = Vec::new();
    let encoded = picture.write_with_encoder(JpegEncoder::new_with_quality(&mut file, quality));
    let hash = encoded
        .ok()
        .and_then(|()| ContentHash::of(&file[..]).ok())
        .unwrap_or(ContentHash::from_bytes([0; 32]));
    read(Cursor::new(&file), &Checks::default()).into_facts(hash, file.len() as u64)
}

fn view(facts: &FileFacts) -> Option<&media::Thumbnail> {
    match facts.content.as_deref() {
        Some(Content::Picture(picture)) => match &picture.view {
            Some(View::Thumbnail(thumbnail)) => Some(thumbnail),
            _ => None,
        },
        _ => None,
    }
}

/// Over many pairs: their likeness, and how many count as the same picture.
#[derive(Default)]
struct Pairs {
    likeness: Vec<Likeness>,
    accepted: usize,
}

impl Pairs {
    fn add(&mut self, original: &FileFacts, result: &FileFacts) {
        let checks = Checks { enabled: [Check::SamePicture].into(), ..Checks::default() };
        let (Some(left), Some(right)) = (view(original), view(result)) else { return };
        self.likeness.push(likeness(left, right));
        self.accepted += usize::from(check_result(original, result, &checks).is_ok());
    }

    /// The value below which this share of the pairs lies.
    fn quantile(&self, of: fn(&Likeness) -> f64, share: f64) -> f64 {
        let mut values: Vec<_> = self.likeness.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a length")]
        let at = ((values.len().saturating_sub(1)) as f64 * share).round() as usize;
        values.get(at).copied().unwrap_or(f64::NAN)
    }

    fn print(&self, name: &str, shares: [f64; 3]) {
        let quantiles = |of| shares.map(|share| format!("{:.4}", self.quantile(of, share))).join(" ");
        // For shifts, high values are the bad ones; for similarities, low ones.
        let shifts =
            shares.map(|share| format!("{:.1}", self.quantile(|it| it.shift, 1.0 - share))).join(" ");
        println!(
            "  {name:28} {:8} pairs, {:8} count as the same; similarity {}; details {}; shift {shifts}",
            self.likeness.len(),
            self.accepted,
            quantiles(|likeness| likeness.similarity),
            quantiles(|likeness| likeness.details),
        );
    }
}

fn report(name: &str, windows: &[&Window]) {
    if windows.is_empty() {
        return;
    }
    println!("{name}: {} windows", windows.len());
    let mut pairs = Pairs::default();
    for window in windows {
        window.kept.iter().for_each(|kept| pairs.add(&window.original, kept));
    }
    pairs.print("kept", [0.0, 0.001, 0.01]);
    for (at, fault) in FAULTS.iter().enumerate() {
        let mut pairs = Pairs::default();
        let faulty = windows.iter().filter_map(|window| Some((window, window.faulty[at].as_ref()?)));
        for (window, faulty) in faulty {
            pairs.add(&window.original, faulty);
        }
        pairs.print(fault, [0.5, 0.99, 1.0]);
    }
    let mut pairs = Pairs::default();
    for (at, left) in windows.iter().enumerate() {
        for right in windows[at + 1..].iter().filter(|right| right.source != left.source) {
            pairs.add(&left.original, &right.original);
        }
    }
    pairs.print("another file", [0.99, 0.9999, 1.0]);
}
