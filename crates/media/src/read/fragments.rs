//! The duration of a fragmented film: the sum over the samples of all fragments.

use std::collections::BTreeMap;

use super::boxes::{MOST_TRACKS, number};

/// Maximum sample tables to read, in bytes; ten hours of fragmented film have a few megabytes.
const MOST_TABLES: u64 = 64 << 20;

/// Flags of `tfhd` and, from [`HAS_OFFSET`] on, of `trun`.
const HAS_BASE: u32 = 0x1;
const HAS_DESCRIPTION: u32 = 0x2;
const HAS_DEFAULT_DURATION: u32 = 0x8;
const HAS_OFFSET: u32 = 0x1;
const HAS_FIRST_FLAGS: u32 = 0x4;
const HAS_DURATION: u32 = 0x100;
/// The flags of per-sample fields: duration, size, flags and time offset.
const OF_A_SAMPLE: u32 = 0xF00;

#[derive(Debug, Default)]
struct Track {
    /// Units per second.
    scale: u32,
    default_duration: u32,
    units: u64,
}

/// The tracks by id, and the current position.
#[derive(Debug, Default)]
pub(super) struct Fragments {
    tracks: BTreeMap<u32, Track>,
    current: u32,
    duration: u32,
    tables: u64,
    /// Whether there are samples before the fragments.
    pub(super) come_later: bool,
    is_incomplete: bool,
}

impl Fragments {
    /// Reads a track's `tkhd`, which precedes its `mdhd`.
    pub(super) fn track(&mut self, header: &[u8]) {
        self.current = number(header, if header.first() == Some(&1) { 20 } else { 12 }).unwrap_or_default();
    }

    pub(super) fn media(&mut self, header: &[u8]) {
        let scale = number(header, if header.first() == Some(&1) { 20 } else { 12 }).unwrap_or_default();
        if self.tracks.len() < MOST_TRACKS {
            self.tracks.entry(self.current).or_default().scale = scale;
        }
    }

    /// Reads the defaults for a track's fragments.
    pub(super) fn defaults(&mut self, content: &[u8]) {
        let (Some(track), Some(duration)) = (number(content, 4), number(content, 12)) else { return };
        if self.tracks.len() < MOST_TRACKS {
            self.tracks.entry(track).or_default().default_duration = duration;
        }
    }

    pub(super) fn header(&mut self, content: &[u8]) {
        let (flags, track) = (number(content, 0).unwrap_or_default(), number(content, 4).unwrap_or_default());
        self.current = track;
        let mut at = 8;
        at += if flags & HAS_BASE == 0 { 0 } else { 8 };
        at += if flags & HAS_DESCRIPTION == 0 { 0 } else { 4 };
        let own = number(content, at).filter(|_| flags & HAS_DEFAULT_DURATION != 0);
        let usual = self.tracks.get(&track).map_or(0, |track| track.default_duration);
        self.duration = own.unwrap_or(usual);
    }

    /// Whether another run of this length may be read; counts it.
    pub(super) fn allows(&mut self, bytes: u64) -> bool {
        self.tables = self.tables.saturating_add(bytes);
        self.is_incomplete |= self.tables > MOST_TABLES;
        !self.is_incomplete
    }

    pub(super) fn run(&mut self, content: &[u8]) {
        let (flags, count) = (number(content, 0).unwrap_or_default(), number(content, 4).unwrap_or_default());
        let units = if flags & HAS_DURATION == 0 {
            u64::from(count).saturating_mul(self.duration.into())
        } else {
            let mut at = 8;
            at += if flags & HAS_OFFSET == 0 { 0 } else { 4 };
            at += if flags & HAS_FIRST_FLAGS == 0 { 0 } else { 4 };
            let step = (flags & OF_A_SAMPLE).count_ones() as usize * 4;
            // The stated count may exceed the content, which then ends the run.
            (0..count as usize).map_while(|sample| number(content, at + sample * step)).map(u64::from).sum()
        };
        match self.tracks.get_mut(&self.current) {
            Some(track) => track.units = track.units.saturating_add(units),
            None => self.is_incomplete = true,
        }
    }

    /// Milliseconds of the longest track; `None` if not all runs could be read.
    pub(super) fn milliseconds(&self) -> Option<u64> {
        let of_track = |track: &Track| match (track.units, track.scale) {
            (0, _) => Some(0),
            (units, scale) => units.checked_mul(1000)?.checked_div(scale.into()),
        };
        let longest = self.tracks.values().map(of_track).try_fold(0, |most, length| Some(most.max(length?)));
        longest.filter(|_| !self.is_incomplete)
    }
}
