//! What is known of the thumbnails of the assets on pages that were shown. Pure, and bounded.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use bynder::{MOST_IDS, Picture};
use common::asset::AssetId;
use http_client::Link;
use tokio::time::Instant;

/// Assets that are remembered.
const MOST_ASSETS: usize = 500;
/// Bytes of all pictures that are kept.
const MOST_BYTES: usize = 8 << 20;
/// How long the portal's answer counts: an address may expire, and people upload new versions.
const VALID: Duration = Duration::from_mins(5);
/// How long nothing is tried after a failure.
const REST: Duration = Duration::from_mins(1);

/// A request for a thumbnail is answered by this.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Thumbnail {
    Picture(Picture),
    At(Link),
    /// The asset has none, it could not be had lately, or no page showed the asset lately.
    Missing,
    /// It has to be looked up, together with those of these assets, this one among them.
    Unknown(Vec<AssetId>),
}

#[derive(Debug, Default)]
pub(super) struct Known {
    /// The one that was shown last comes last.
    assets: VecDeque<Asset>,
}

#[derive(Debug)]
struct Asset {
    id: AssetId,
    /// `None` if it was not looked up.
    answer: Option<Answer>,
}

#[derive(Debug)]
struct Answer {
    until: Instant,
    found: Option<(Link, Option<Picture>)>,
}

impl Asset {
    fn answer(&self, now: Instant) -> Option<&Answer> {
        self.answer.as_ref().filter(|answer| now < answer.until)
    }

    fn bytes(&self) -> usize {
        let picture = self.answer.as_ref().and_then(|answer| answer.found.as_ref()?.1.as_ref());
        picture.map_or(0, |picture| picture.bytes.len())
    }
}

impl Known {
    /// Notes the assets of a page. Those that were shown longest ago are forgotten.
    pub(super) fn show<'a>(&mut self, assets: impl IntoIterator<Item = &'a AssetId>) {
        for id in assets.into_iter().filter(|id| **id != AssetId::unknown()) {
            let place = self.assets.iter().position(|asset| asset.id == *id);
            let known = place.and_then(|place| self.assets.remove(place));
            self.assets.push_back(known.unwrap_or_else(|| Asset { id: id.clone(), answer: None }));
        }
        self.assets.drain(..self.assets.len().saturating_sub(MOST_ASSETS));
    }

    pub(super) fn of(&self, id: &AssetId, now: Instant) -> Thumbnail {
        let Some(asset) = self.assets.iter().find(|asset| asset.id == *id) else { return Thumbnail::Missing };
        match asset.answer(now).map(|answer| &answer.found) {
            Some(Some((_, Some(picture)))) => Thumbnail::Picture(picture.clone()),
            Some(Some((link, None))) => Thumbnail::At(link.clone()),
            Some(None) => Thumbnail::Missing,
            None => Thumbnail::Unknown(self.together_with(id, now)),
        }
    }

    /// This asset and those that were shown last, of what has to be looked up.
    fn together_with(&self, id: &AssetId, now: Instant) -> Vec<AssetId> {
        let others = self.assets.iter().rev().filter(|asset| asset.answer(now).is_none());
        let others = others.map(|asset| &asset.id).filter(|other| *other != id);
        std::iter::once(id).chain(others).take(MOST_IDS).cloned().collect()
    }

    /// The portal's answer for these assets.
    pub(super) fn looked_up(&mut self, ids: &[AssetId], mut links: HashMap<AssetId, Link>, now: Instant) {
        for id in ids {
            let found = links.remove(id).map(|link| (link, None));
            self.answer(id, Answer { until: now + VALID, found });
        }
    }

    /// The thumbnails of these assets could not be had.
    pub(super) fn give_up(&mut self, ids: &[AssetId], now: Instant) {
        for id in ids {
            self.answer(id, Answer { until: now + REST, found: None });
        }
    }

    fn answer(&mut self, id: &AssetId, answer: Answer) {
        if let Some(asset) = self.assets.iter_mut().find(|asset| asset.id == *id) {
            asset.answer = Some(answer);
        }
    }

    /// Keeps a picture. Those of the assets that were shown longest ago make room.
    pub(super) fn keep(&mut self, id: &AssetId, picture: &Picture) {
        let asset = self.assets.iter_mut().find(|asset| asset.id == *id);
        if let Some((_, kept)) = asset.and_then(|asset| asset.answer.as_mut()?.found.as_mut()) {
            *kept = Some(picture.clone());
        }
        let mut bytes: usize = self.assets.iter().map(Asset::bytes).sum();
        for asset in &mut self.assets {
            if bytes <= MOST_BYTES {
                return;
            }
            bytes -= asset.bytes();
            if let Some((_, kept)) = asset.answer.as_mut().and_then(|answer| answer.found.as_mut()) {
                *kept = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(numbers: std::ops::Range<usize>) -> Vec<AssetId> {
        numbers.map(|number| format!("A-{number}").parse().unwrap()).collect()
    }

    fn links(ids: &[AssetId]) -> HashMap<AssetId, Link> {
        let link = |id: &AssetId| Link::parse(&format!("https://cdn.example/{id}")).unwrap();
        ids.iter().map(|id| (id.clone(), link(id))).collect()
    }

    fn picture(bytes: usize) -> Picture {
        Picture { media_type: "image/png", bytes: vec![0; bytes].into() }
    }

    #[test]
    fn an_asset_on_no_page_has_none_and_those_of_a_page_are_looked_up_together() {
        let (mut known, now) = (Known::default(), Instant::now());
        let all = ids(0..120);
        assert_eq!(known.of(&all[0], now), Thumbnail::Missing);
        known.show(&all);
        let Thumbnail::Unknown(asked) = known.of(&all[3], now) else { panic!("known") };
        assert_eq!((asked.len(), &asked[0], &asked[1]), (MOST_IDS, &all[3], &all[119]));
        known.looked_up(&asked, links(&asked[1..]), now);
        assert_eq!(known.of(&all[3], now), Thumbnail::Missing);
        assert!(matches!(known.of(&all[119], now), Thumbnail::At(_)));
        let Thumbnail::Unknown(rest) = known.of(&all[4], now) else { panic!("known") };
        assert!(rest.len() == MOST_IDS && rest.iter().all(|id| !asked.contains(id)));
    }

    #[test]
    fn an_answer_counts_for_minutes_and_a_failure_for_less() {
        let (mut known, now, all) = (Known::default(), Instant::now(), ids(0..2));
        known.show(&all);
        known.looked_up(&all[..1], links(&all), now);
        known.keep(&all[0], &picture(7));
        known.give_up(&all[1..], now);
        known.show(&all);
        assert_eq!(known.of(&all[0], now), Thumbnail::Picture(picture(7)));
        assert_eq!(known.of(&all[1], now), Thumbnail::Missing);
        assert_eq!(known.of(&all[1], now + REST), Thumbnail::Unknown(all[1..].to_vec()));
        assert!(matches!(known.of(&all[0], now + VALID), Thumbnail::Unknown(_)));
    }

    #[test]
    fn what_is_remembered_is_bounded_and_the_latest_stays() {
        let (mut known, now, all) = (Known::default(), Instant::now(), ids(0..MOST_ASSETS + 1));
        known.show(&all);
        assert_eq!(known.of(&all[0], now), Thumbnail::Missing);
        known.looked_up(&all, links(&all), now);
        for id in &all[1..] {
            known.keep(id, &picture(MOST_BYTES / 4));
        }
        let kept = |known: &Known| -> Vec<_> {
            let is_kept = |id: &&AssetId| matches!(known.of(id, now), Thumbnail::Picture(_));
            all.iter().filter(is_kept).cloned().collect()
        };
        assert_eq!(kept(&known), all[MOST_ASSETS - 3..]);
        known.show(&all[MOST_ASSETS - 3..MOST_ASSETS - 2]);
        known.show(&all[1..2]);
        known.keep(&all[1], &picture(MOST_BYTES / 4));
        let latest = [&all[1..2], &all[MOST_ASSETS - 3..MOST_ASSETS - 2], &all[MOST_ASSETS - 1..]].concat();
        assert_eq!(kept(&known), latest);
    }
}
