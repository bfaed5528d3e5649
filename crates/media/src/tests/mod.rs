//! Generated pairs of original and result, and the verdict on each.

mod colours;
mod films;
mod forms;
mod frames;
mod heif;
mod kinds;
mod pages;
mod tiffs;
mod transparency;

use std::io::Cursor;

use common::check::Check;
use common::hash::{ContentHash, FileFacts};
use image::{DynamicImage, ImageFormat, Rgba, RgbaImage};

use crate::checks::Checks;
use crate::read::read;
use crate::result::{BadResult, check_result};

fn facts(file: &[u8]) -> FileFacts {
    read(Cursor::new(file), &Checks::default()).into_facts(ContentHash::of(file).unwrap(), file.len() as u64)
}

/// The checks that fail, and those that could not be made.
fn verdict(original: &[u8], result: &[u8]) -> (Vec<Check>, Vec<Check>) {
    match check_result(&facts(original), &facts(result), &Checks::default()) {
        Ok(unchecked) => (Vec::new(), unchecked.into_iter().map(|unchecked| unchecked.check).collect()),
        Err(BadResult::Differs(differences)) => {
            for difference in &differences {
                println!("{difference}");
            }
            (differences.into_iter().map(|difference| difference.check).collect(), Vec::new())
        }
        Err(other) => panic!("{other}"),
    }
}

fn accepted(original: &[u8], result: &[u8]) -> bool {
    verdict(original, result) == (Vec::new(), Vec::new())
}

fn png(picture: &DynamicImage) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    picture.write_to(&mut file, ImageFormat::Png).unwrap();
    file.into_inner()
}

/// A colourful picture with gradients.
fn painting(width: u32, height: u32) -> RgbaImage {
    let shade = |at: u32, of: u32| u8::try_from(at * 255 / of).unwrap();
    RgbaImage::from_fn(width, height, |x, y| Rgba([shade(x, width), shade(y, height), 90, 255]))
}
