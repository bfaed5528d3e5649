//! A picture of 16 × 16 pixels, enough to tell whether two files show the same.

use serde::{Deserialize, Serialize, de};

/// Red, green and blue of 16 × 16 cells, row by row, on a white ground; where the picture is transparent anywhere, how
/// opaque each cell is follows. Written as hex.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thumbnail {
    colours: Box<[u8; Thumbnail::BYTES]>,
    opacity: Option<Box<[u8; Thumbnail::CELLS]>>,
}

impl Thumbnail {
    /// Cells across and down.
    pub const SIDE: usize = 16;
    /// Cells in all.
    pub const CELLS: usize = Self::SIDE * Self::SIDE;
    /// Values of the three colours in all.
    pub const BYTES: usize = Self::CELLS * 3;

    /// An opaque picture; takes the values as they are.
    pub fn new(values: [u8; Self::BYTES]) -> Self {
        Self { colours: Box::new(values), opacity: None }
    }

    /// The same colours with transparency.
    #[must_use]
    pub fn with_opacity(self, opacity: [u8; Self::CELLS]) -> Self {
        Self { opacity: Some(Box::new(opacity)), ..self }
    }

    /// Whether anything of the picture is transparent.
    pub fn is_transparent(&self) -> bool {
        self.opacity.is_some()
    }

    /// The values of one colour on white: 0 is red, 1 green, 2 blue.
    pub fn channel(&self, channel: usize) -> impl Iterator<Item = u8> {
        self.colours.iter().skip(channel).step_by(3).copied()
    }

    /// The values of one colour on black.
    pub fn on_black(&self, channel: usize) -> impl Iterator<Item = u8> {
        let opacity = self.opacity.iter().flat_map(|opacity| opacity.iter().copied());
        let below = opacity.chain(std::iter::repeat(u8::MAX)).map(|opaque| u8::MAX - opaque);
        self.channel(channel).zip(below).map(|(on_white, below)| on_white.saturating_sub(below))
    }
}

impl Serialize for Thumbnail {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let opacity = self.opacity.as_deref().map_or(&[][..], |opacity| &opacity[..]);
        serializer.serialize_str(&(hex::encode(&self.colours[..]) + &hex::encode(opacity)))
    }
}

impl<'de> Deserialize<'de> for Thumbnail {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let values = hex::decode(String::deserialize(deserializer)?).map_err(de::Error::custom)?;
        let (colours, opacity) = values
            .split_first_chunk()
            .ok_or_else(|| de::Error::custom("a thumbnail has fewer values than it has cells"))?;
        let opaque = Self::new(*colours);
        if opacity.is_empty() {
            return Ok(opaque);
        }
        Ok(opaque.with_opacity(opacity.try_into().map_err(de::Error::custom)?))
    }
}
