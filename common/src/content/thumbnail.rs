//! A picture of 16 × 16 pixels, enough to tell whether two files show the same.

use serde::{Deserialize, Serialize, de};

/// Red, green and blue of 16 × 16 cells, row by row; written as hex.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thumbnail(Box<[u8; Thumbnail::BYTES]>);

impl Thumbnail {
    /// Cells across and down.
    pub const SIDE: usize = 16;
    /// Values in all.
    pub const BYTES: usize = Self::SIDE * Self::SIDE * 3;

    /// Takes the values as they are.
    pub fn new(values: [u8; Self::BYTES]) -> Self {
        Self(Box::new(values))
    }

    /// The values of one colour: 0 is red, 1 green, 2 blue.
    pub fn channel(&self, channel: usize) -> impl Iterator<Item = u8> {
        self.0.iter().skip(channel).step_by(3).copied()
    }
}

impl Serialize for Thumbnail {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(&self.0[..]))
    }
}

impl<'de> Deserialize<'de> for Thumbnail {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let mut values = [0; Self::BYTES];
        hex::decode_to_slice(text, &mut values).map_err(de::Error::custom)?;
        Ok(Self::new(values))
    }
}
