//! The items of HEIF and their properties.

use std::collections::BTreeSet;
use std::ops::Range;

use super::boxes::within;

/// Maximum items; a tiled picture of a hundred megapixels has a few hundred.
const MOST_ITEMS: usize = 10_000;

/// Maximum properties, references and data ranges of all items together.
const MOST_DETAILS: usize = 100_000;

/// Maximum depth of pictures composed of others.
const DEEPEST: usize = 3;

/// An item: a picture, a tile, or metadata.
#[derive(Debug, Default)]
pub(super) struct Item {
    pub(super) id: u64,
    pub(super) kind: [u8; 4],
    pub(super) content_type: Vec<u8>,
    is_hidden: bool,
    /// Indices of its properties, from 1, in order.
    properties: Vec<u64>,
    /// The ranges of its data in the file; empty if the data is inside `meta`.
    pub(super) places: Vec<Range<u64>>,
    is_incomplete: bool,
}

impl Item {
    /// Whether all of its data is in the file.
    pub(super) fn is_there(&self) -> bool {
        !self.is_incomplete && !self.places.is_empty()
    }
}

#[derive(Debug, Default)]
pub(super) struct Items {
    pub(super) all: Vec<Item>,
    primary: u64,
    properties: Vec<([u8; 4], Vec<u8>)>,
    /// References: kind, from, to.
    references: Vec<([u8; 4], u64, u64)>,
    is_moving: bool,
}

/// Reads consecutive fields.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take(&mut self, bytes: usize) -> Option<u64> {
        let (number, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(number.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
    }

    fn text(&mut self) -> Vec<u8> {
        let end = self.0.iter().position(|byte| *byte == 0).unwrap_or(self.0.len());
        let text = self.0[..end].to_vec();
        self.0 = self.0.get(end + 1..).unwrap_or_default();
        text
    }
}

impl Items {
    /// Reads the content of `meta` as far as it is well formed; `end` is the file's length.
    pub(super) fn read(meta: &[u8], end: u64, is_moving: bool) -> Self {
        let mut items = Self { is_moving, ..Self::default() };
        let boxes = || within(meta.get(4..).unwrap_or_default());
        let named = |wanted: &'static [u8; 4]| boxes().filter(move |(name, _)| *name == wanted);
        // List the items first: the other boxes refer to them.
        for (_, content) in named(b"iinf") {
            let _ = items.list(content);
        }
        items.all.sort_by_key(|item| item.id);
        for (name, content) in boxes() {
            // A malformed part ends its box; the other boxes still count.
            let _ = match name {
                b"pitm" => items.point(content),
                b"iref" => items.refer(content),
                b"iloc" => items.locate(content, end),
                b"iprp" => items.describe(content),
                _ => None,
            };
        }
        items
    }

    fn list(&mut self, content: &[u8]) -> Option<()> {
        let boxes = content.get(if content.first()? == &0 { 6 } else { 8 }..)?;
        for (_, content) in within(boxes).filter(|(name, _)| *name == b"infe").take(MOST_ITEMS) {
            let mut fields = Fields(content);
            let (version, flags) = (fields.take(1)?, fields.take(3)?);
            let id = fields.take(if version == 2 { 2 } else { 4 })?;
            fields.take(2)?;
            let kind = u32::try_from(fields.take(4)?).ok()?.to_be_bytes();
            fields.text();
            let content_type = if &kind == b"mime" { fields.text() } else { Vec::new() };
            let is_hidden = flags & 1 == 1;
            self.all.push(Item { id, kind, content_type, is_hidden, ..Item::default() });
        }
        Some(())
    }

    fn point(&mut self, content: &[u8]) -> Option<()> {
        let mut fields = Fields(content.get(4..)?);
        self.primary = fields.take(if content[0] == 0 { 2 } else { 4 })?;
        Some(())
    }

    fn refer(&mut self, content: &[u8]) -> Option<()> {
        let bytes = if content.first()? == &0 { 2 } else { 4 };
        for (name, content) in within(content.get(4..)?) {
            let mut fields = Fields(content);
            let (from, count) = (fields.take(bytes)?, fields.take(2)?);
            for _ in 0..count {
                if self.references.len() >= MOST_DETAILS {
                    return None;
                }
                self.references.push((*name, from, fields.take(bytes)?));
            }
        }
        Some(())
    }

    fn locate(&mut self, content: &[u8], end: u64) -> Option<()> {
        let version = *content.first()?;
        let mut fields = Fields(content.get(4..)?);
        let sizes = fields.take(2)?;
        let size = |shift: u64| usize::try_from(sizes >> shift & 15).unwrap_or_default();
        let (offset_size, length_size, base_size) = (size(12), size(8), size(4));
        let index_size = if version == 0 { 0 } else { size(0) };
        let wide = if version < 2 { 2 } else { 4 };
        let mut places = 0;
        for _ in 0..fields.take(wide)? {
            let id = fields.take(wide)?;
            let is_elsewhere = version > 0 && fields.take(2)? & 15 != 0;
            // The data is in another file.
            let is_foreign = fields.take(2)? != 0;
            let base = fields.take(base_size)?;
            for _ in 0..fields.take(2)? {
                fields.take(index_size)?;
                let (offset, length) = (fields.take(offset_size)?, fields.take(length_size)?);
                places += 1;
                if places > MOST_DETAILS {
                    return None;
                }
                let Some(item) = self.item_mut(id).filter(|_| !is_elsewhere) else { continue };
                let start = base.saturating_add(offset);
                let stop = if length == 0 { end } else { start.saturating_add(length) };
                item.is_incomplete |= is_foreign || stop > end || start >= stop;
                item.places.push(start..stop.max(start));
            }
        }
        Some(())
    }

    fn describe(&mut self, content: &[u8]) -> Option<()> {
        for (name, content) in within(content) {
            match name {
                b"ipco" => {
                    let properties = within(content).take(MOST_ITEMS);
                    self.properties = properties.map(|(name, content)| (*name, content.to_vec())).collect();
                }
                b"ipma" => self.associate(content)?,
                _ => {}
            }
        }
        Some(())
    }

    fn associate(&mut self, content: &[u8]) -> Option<()> {
        let (wide, is_long) = (if content.first()? == &0 { 2 } else { 4 }, content.get(3)? & 1 == 1);
        let (mut fields, mut associations) = (Fields(content.get(4..)?), 0);
        for _ in 0..fields.take(4)? {
            let id = fields.take(wide)?;
            for _ in 0..fields.take(1)? {
                associations += 1;
                if associations > MOST_DETAILS {
                    return None;
                }
                let number = fields.take(if is_long { 2 } else { 1 })? & if is_long { 0x7FFF } else { 0x7F };
                if let Some(item) = self.item_mut(id) {
                    item.properties.push(number);
                }
            }
        }
        Some(())
    }

    fn item_mut(&mut self, id: u64) -> Option<&mut Item> {
        let at = self.all.binary_search_by_key(&id, |item| item.id).ok()?;
        self.all.get_mut(at)
    }

    pub(super) fn primary(&self) -> Option<&Item> {
        self.all.iter().find(|item| item.id == self.primary)
    }

    /// The primary item and the items of which it is composed.
    pub(super) fn shown(&self) -> Vec<&Item> {
        let mut shown = BTreeSet::from([self.primary]);
        for _ in 0..DEEPEST {
            let parts = self.references.iter().filter(|(kind, of, _)| kind == b"dimg" && shown.contains(of));
            let parts: Vec<_> = parts.map(|(_, _, to)| *to).collect();
            shown.extend(parts);
        }
        self.all.iter().filter(|item| shown.contains(&item.id)).collect()
    }

    /// Ids of the items that refer to one of `shown` by a reference of this kind.
    pub(super) fn belonging(&self, kind: [u8; 4], shown: &[&Item]) -> BTreeSet<u64> {
        let shown: BTreeSet<_> = shown.iter().map(|item| item.id).collect();
        let of = self.references.iter().filter(|(name, _, to)| *name == kind && shown.contains(to));
        of.map(|(_, from, _)| *from).collect()
    }

    fn all_of<'a>(&'a self, item: &'a Item) -> impl Iterator<Item = (&'a [u8; 4], &'a [u8])> {
        let at = |number: &u64| self.properties.get(usize::try_from(number.checked_sub(1)?).ok()?);
        item.properties.iter().filter_map(at).map(|(name, content)| (name, &content[..]))
    }

    pub(super) fn property<'a>(&'a self, item: &'a Item, wanted: [u8; 4]) -> Option<&'a [u8]> {
        self.all_of(item).find(|(name, _)| **name == wanted).map(|(_, content)| content)
    }

    pub(super) fn size(&self, item: &Item) -> Option<(u32, u32)> {
        let mut fields = Fields(self.property(item, *b"ispe")?.get(4..)?);
        Some((u32::try_from(fields.take(4)?).ok()?, u32::try_from(fields.take(4)?).ok()?))
    }

    /// Bits per channel, from the codec's configuration.
    pub(super) fn bits(&self, item: &Item) -> Option<u8> {
        let of_hevc = || Some((self.property(item, *b"hvcC")?.get(17)? & 7) + 8);
        let of_av1 = || match self.property(item, *b"av1C")?.get(2)? >> 5 & 3 {
            0 | 1 => Some(8),
            2 => Some(10),
            _ => Some(12),
        };
        let stated = || self.property(item, *b"pixi")?.get(5).copied();
        of_hevc().or_else(of_av1).or_else(stated)
    }

    pub(super) fn icc<'a>(&'a self, item: &'a Item) -> Option<&'a [u8]> {
        let colours = self.all_of(item).filter(|(name, _)| *name == b"colr");
        colours
            .filter_map(|(_, content)| content.split_first_chunk())
            .find_map(|(kind, icc): (&[u8; 4], _)| matches!(kind, b"prof" | b"rICC").then_some(icc))
    }

    /// The code points of the primaries and the transfer function.
    pub(super) fn points(&self, item: &Item) -> Option<(u64, u64)> {
        let mut colours = self.all_of(item).filter(|(name, _)| *name == b"colr");
        let mut fields = Fields(colours.find_map(|(_, content)| content.strip_prefix(b"nclx"))?);
        Some((fields.take(2)?, fields.take(2)?))
    }

    /// The EXIF orientation that equals the item's rotations and mirrorings, applied in order.
    pub(super) fn orientation(&self, item: &Item) -> u32 {
        // Mirrored left to right, then rotated clockwise by this many quarters.
        let (mut is_mirrored, mut turns) = (false, 0);
        for (name, content) in self.all_of(item) {
            match (name, content.first()) {
                (b"irot", Some(quarters)) => turns = (turns + 4 - quarters % 4) % 4,
                (b"imir", Some(axis)) => {
                    is_mirrored = !is_mirrored;
                    turns = (4 - turns + if axis & 1 == 0 { 2 } else { 0 }) % 4;
                }
                _ => {}
            }
        }
        let numbers = if is_mirrored { [2, 7, 4, 5] } else { [1, 6, 3, 8] };
        numbers[usize::from(turns)]
    }

    /// Number of pictures without thumbnails and parts; `None` for an image sequence.
    pub(super) fn frames(&self) -> Option<u64> {
        let tone_maps: BTreeSet<_> =
            self.all.iter().filter(|item| &item.kind == b"tmap").map(|item| item.id).collect();
        let parts: BTreeSet<_> = self
            .references
            .iter()
            .filter_map(|(kind, from, to)| match kind {
                b"thmb" | b"auxl" => Some(*from),
                b"dimg" if !tone_maps.contains(from) => Some(*to),
                _ => None,
            })
            .collect();
        let is_picture = |item: &&Item| {
            self.property(item, *b"ispe").is_some()
                && !item.is_hidden
                && !tone_maps.contains(&item.id)
                && !parts.contains(&item.id)
        };
        (!self.is_moving).then(|| self.all.iter().filter(is_picture).count() as u64)
    }
}
