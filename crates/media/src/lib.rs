//! Reads the properties of media files, and compares a watermarked file with its original.
//!
//! [`read`] reads one file: its media type (by content), its size in pixels, and the metadata and appearance of pictures,
//! films and documents. A file that cannot be read is [`Content::Unreadable`] with the reason. Of a picture only a
//! thumbnail is kept. A hostile file can cost memory and time: [`reader`] reads in child processes that bound both.
//!
//! [`FileFacts`], the main type, is a reading with the file's hash and length: everything that is kept of a file once its
//! bytes are gone. [`check_result`] compares the facts of two files by the enabled [`Checks`].
//!
//! The crate is about files only: no service, no queue, no network.
//!
//! ```
//! use std::io::Cursor;
//!
//! use image::{ImageFormat, Rgb, RgbImage};
//! use media::{BadResult, Check, Checks, Content, ContentHash, FileFacts, check_result, read};
//!
//! fn png(picture: &RgbImage) -> Vec<u8> {
//!     let mut file = Cursor::new(Vec::new());
//!     picture.write_to(&mut file, ImageFormat::Png).unwrap();
//!     file.into_inner()
//! }
//!
//! fn facts(file: &[u8], checks: &Checks) -> FileFacts {
//!     let hash = ContentHash::of(file).unwrap();
//!     read(Cursor::new(file), checks).into_facts(hash, file.len() as u64)
//! }
//!
//! // Read one file.
//! let checks = Checks::default();
//! let picture = RgbImage::from_fn(64, 48, |x, y| Rgb([(x * 4) as u8, (y * 5) as u8, 90]));
//! let original = facts(&png(&picture), &checks);
//! assert_eq!(original.media_type.as_deref(), Some("image/png"));
//! assert_eq!(original.pixels, Some((64, 48)));
//! assert!(matches!(original.content.as_deref(), Some(Content::Picture(picture)) if picture.bit_depth == 8));
//!
//! // Compare a pair: a faint change of every pixel passes, another picture does not.
//! let mut faint = picture.clone();
//! faint.pixels_mut().for_each(|pixel| pixel.0[2] += 1);
//! assert_eq!(check_result(&original, &facts(&png(&faint), &checks), &checks), Ok(Vec::new()));
//!
//! let mirrored = image::imageops::flip_horizontal(&picture);
//! let Err(BadResult::Differs(differences)) = check_result(&original, &facts(&png(&mirrored), &checks), &checks)
//! else {
//!     panic!("another picture passed")
//! };
//! assert_eq!(differences[0].check, Check::SamePicture);
//! ```

mod checks;
mod compare;
mod read;
pub mod reader;
mod result;
#[cfg(test)]
mod tests;

pub use checks::Checks;
pub use common::check::{Check, Obstacle};
pub use common::content::{Behind, Content, Credit, Film, Picture, Profile, Thumbnail, View};
pub use common::hash::{ContentHash, FileFacts};
pub use compare::{Likeness, likeness};
pub use read::{Reading, read};
pub use result::{BadResult, Difference, Unchecked, check_result};
