//! Thumbnails of 16 × 16 cells, enough to see whether two files show the same picture.

use serde::{Deserialize, Serialize, de};

/// Red, green and blue of 16 × 16 cells, row by row, on white; the opacity of each cell, if the picture is transparent
/// anywhere; and the details, if the picture is large enough: for each of 48 × 48 cells, by how much it is lighter or darker
/// than its surroundings.
///
/// Serialised as hex digits: the colours, the opacity, and after a slash the details, one digit each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thumbnail {
    colours: Box<[u8; Thumbnail::BYTES]>,
    opacity: Option<Box<[u8; Thumbnail::CELLS]>>,
    details: Option<Box<[u8; Thumbnail::DETAILS]>>,
}

impl Thumbnail {
    /// Cells across and down.
    pub const SIDE: usize = 16;
    /// Cells in all.
    pub const CELLS: usize = Self::SIDE * Self::SIDE;
    /// Cells of the details across and down.
    pub const DETAIL_SIDE: usize = 3 * Self::SIDE;
    pub const DETAILS: usize = Self::DETAIL_SIDE * Self::DETAIL_SIDE;
    /// Number of colour values, three per cell.
    pub const BYTES: usize = Self::CELLS * 3;

    /// An opaque picture with these values.
    pub fn new(values: [u8; Self::BYTES]) -> Self {
        Self { colours: Box::new(values), opacity: None, details: None }
    }

    /// Adds the opacity of each cell.
    #[must_use]
    pub fn with_opacity(self, opacity: [u8; Self::CELLS]) -> Self {
        Self { opacity: Some(Box::new(opacity)), ..self }
    }

    /// Adds the details, each from 0 to 15.
    #[must_use]
    pub fn with_details(self, details: [u8; Self::DETAILS]) -> Self {
        Self { details: Some(Box::new(details.map(|detail| detail.min(15)))), ..self }
    }

    /// The details, from 0 (much darker than the surroundings) to 15 (much lighter).
    pub fn details(&self) -> Option<&[u8; Self::DETAILS]> {
        self.details.as_deref()
    }

    /// Whether any part of the picture is transparent.
    pub fn is_transparent(&self) -> bool {
        self.opacity.is_some()
    }

    /// The values of one colour channel on white: 0 is red, 1 green, 2 blue.
    pub fn channel(&self, channel: usize) -> impl Iterator<Item = u8> {
        self.colours.iter().skip(channel).step_by(3).copied()
    }

    /// The values of one colour channel on black.
    pub fn on_black(&self, channel: usize) -> impl Iterator<Item = u8> {
        let opacity = self.opacity.iter().flat_map(|opacity| opacity.iter().copied());
        let below = opacity.chain(std::iter::repeat(u8::MAX)).map(|opaque| u8::MAX - opaque);
        self.channel(channel).zip(below).map(|(on_white, below)| on_white.saturating_sub(below))
    }
}

impl Serialize for Thumbnail {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let opacity = self.opacity.as_deref().map_or(&[][..], |opacity| &opacity[..]);
        let digit = |detail: &u8| char::from_digit(u32::from(*detail), 16);
        let mut text = hex::encode(&self.colours[..]) + &hex::encode(opacity);
        if let Some(details) = &self.details {
            text.push('/');
            text.extend(details.iter().filter_map(digit));
        }
        serializer.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for Thumbnail {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let (text, digits) =
            text.split_once('/').map_or((&text[..], None), |(text, digits)| (text, Some(digits)));
        let values = hex::decode(text).map_err(de::Error::custom)?;
        let (colours, opacity) = values
            .split_first_chunk()
            .ok_or_else(|| de::Error::custom("a thumbnail has fewer values than it has cells"))?;
        let mut read = Self::new(*colours);
        if !opacity.is_empty() {
            read = read.with_opacity(opacity.try_into().map_err(de::Error::custom)?);
        }
        let Some(digits) = digits else { return Ok(read) };
        let details =
            digits.chars().map_while(|digit| u8::try_from(digit.to_digit(16)?).ok()).collect::<Vec<_>>();
        let details = details.try_into().map_err(|_| de::Error::custom("details have one digit a cell"))?;
        Ok(read.with_details(details))
    }
}
