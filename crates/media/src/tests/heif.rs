//! HEIC and AVIF: only their boxes are compared.

use common::content::Content;
use proptest::prelude::*;

use super::*;

/// A picture of two tiles.
#[derive(Clone)]
struct Heif {
    brand: &'static [u8; 4],
    size: (u32, u32),
    /// Boxes that rotate and mirror it.
    turned: Vec<u8>,
    bits: u8,
    icc: Option<&'static [u8]>,
    points: Option<(u16, u16)>,
    has_alpha: bool,
    has_gain_map: bool,
    has_second: bool,
    artist: &'static [u8],
    rights: &'static str,
}

const PLAIN: Heif = Heif {
    brand: b"heic",
    size: (4000, 3000),
    turned: Vec::new(),
    bits: 8,
    icc: Some(b"a profile"),
    points: None,
    has_alpha: true,
    has_gain_map: true,
    has_second: true,
    artist: b"Jo\0",
    rights: "mine",
};

type Change = fn(&mut Heif);

fn boxed(name: &[u8], content: &[&[u8]]) -> Vec<u8> {
    let content = content.concat();
    [&u32::try_from(content.len() + 8).unwrap().to_be_bytes()[..], name, &content].concat()
}

fn turned(quarters: u8) -> Vec<u8> {
    boxed(b"irot", &[&[quarters]])
}

fn mirrored(axis: u8) -> Vec<u8> {
    boxed(b"imir", &[&[axis]])
}

impl Heif {
    fn size_of(size: (u32, u32)) -> Vec<u8> {
        boxed(b"ispe", &[&[0; 4], &size.0.to_be_bytes(), &size.1.to_be_bytes()])
    }

    fn codec(&self) -> Vec<u8> {
        let mut hevc = [0; 23];
        hevc[17] = 0xF8 | (self.bits - 8);
        let av1 = [0x81, 0, if self.bits > 8 { 0x40 } else { 0 }, 0];
        if self.brand == b"avif" { boxed(b"av1C", &[&av1]) } else { boxed(b"hvcC", &[&hevc]) }
    }

    /// Id, kind, properties and data of each item; references of each kind.
    #[expect(clippy::type_complexity, reason = "rows of a table")]
    fn items(&self) -> (Vec<(u16, [u8; 4], Vec<Vec<u8>>, Vec<u8>)>, Vec<(&[u8; 4], u16, Vec<u16>)>) {
        let coded = if self.brand == b"avif" { *b"av01" } else { *b"hvc1" };
        let tile = || vec![Self::size_of((2000, 3000)), self.codec()];
        let auxiliary =
            |name: &[u8]| vec![Self::size_of((99, 99)), self.codec(), boxed(b"auxC", &[&[0; 4], name, &[0]])];
        let mut shown = vec![Self::size_of(self.size)];
        shown.extend(self.icc.map(|icc| boxed(b"colr", &[b"prof", icc])));
        let points = self.points.map(|(primaries, transfer)| [primaries, transfer, 1].map(u16::to_be_bytes));
        shown.extend(points.map(|points| boxed(b"colr", &[b"nclx", &points.concat(), &[0x80]])));
        shown.extend([self.turned.clone()].into_iter().filter(|turned| !turned.is_empty()));
        let entry = [&[1, 0x3B, 0, 2, 0, 0, 0, 3][..], self.artist, &[0]].concat();
        let exif = [b"\0\0\0\x02..MM\0*\0\0\0\x08\0\x01", &entry[..], &[0; 4]].concat();
        let xmp = format!(
            r#"<x:xmpmeta xmlns:x="adobe:ns:meta/" xmlns:dc="http://purl.org/dc/elements/1.1/" dc:rights="{}"/>"#,
            self.rights
        );
        let mut items = vec![
            (1, *b"grid", shown, vec![0, 0, 0, 1, 0, 0, 0, 0]),
            (2, coded, tile(), vec![2; 9]),
            (3, coded, tile(), vec![3; 9]),
            (4, coded, tile(), vec![4; 5]),
            (5, *b"Exif", Vec::new(), exif),
            (6, *b"mime", Vec::new(), xmp.into_bytes()),
        ];
        let mut references = vec![(b"dimg", 1, vec![2, 3]), (b"thmb", 4, vec![1])];
        if self.has_alpha {
            items.push((7, coded, auxiliary(b"urn:mpeg:hevc:2015:auxid:1"), vec![7; 3]));
            references.push((b"auxl", 7, vec![1]));
        }
        if self.has_gain_map {
            items.push((8, coded, auxiliary(b"urn:com:apple:photo:2020:aux:hdrgainmap"), vec![8; 3]));
            references.push((b"auxl", 8, vec![1]));
        }
        if self.has_second {
            items.push((9, coded, tile(), vec![9; 3]));
        }
        (items, references)
    }

    fn file(&self) -> Vec<u8> {
        let (items, references) = self.items();
        let numbers = |numbers: &[u16]| numbers.iter().flat_map(|it| it.to_be_bytes()).collect::<Vec<_>>();
        let counted = u16::try_from(items.len()).unwrap();
        let infos: Vec<u8> = items
            .iter()
            .flat_map(|(id, kind, ..)| {
                let rest: &[u8] = if kind == b"mime" { b"\0application/rdf+xml\0" } else { &[0] };
                boxed(b"infe", &[&[2, 0, 0, 0], &numbers(&[*id, 0]), kind, rest])
            })
            .collect();
        let referring: Vec<u8> = references
            .iter()
            .flat_map(|(kind, from, to)| {
                boxed(&kind[..], &[&numbers(&[*from, u16::try_from(to.len()).unwrap()]), &numbers(to)])
            })
            .collect();
        let properties: Vec<u8> =
            items.iter().flat_map(|(_, _, properties, _)| properties.concat()).collect();
        let mut next = 0;
        let associations: Vec<u8> = items
            .iter()
            .flat_map(|(id, _, properties, _)| {
                // `turned` may hold several boxes.
                let more = if *id == 1 { self.turned.len().saturating_sub(1) / 9 } else { 0 };
                let count = u8::try_from(properties.len() + more).unwrap();
                next += count;
                [&numbers(&[*id])[..], &[count], &(next - count + 1..=next).collect::<Vec<_>>()].concat()
            })
            .collect();
        let described = boxed(
            b"iprp",
            &[
                &boxed(b"ipco", &[&properties]),
                &boxed(b"ipma", &[&[0; 6], &numbers(&[counted]), &associations]),
            ],
        );
        let start = boxed(b"ftyp", &[self.brand, &[0; 4], b"mif1", self.brand]);
        let meta = |mut place: usize| {
            let places: Vec<u8> = items
                .iter()
                .flat_map(|(id, _, _, data)| {
                    let at = [place, data.len()].map(|number| u32::try_from(number).unwrap().to_be_bytes());
                    place += data.len();
                    [&numbers(&[*id, 0, 1])[..], &at.concat()].concat()
                })
                .collect();
            boxed(
                b"meta",
                &[
                    &[0; 4],
                    &boxed(b"pitm", &[&[0; 4], &numbers(&[1])]),
                    &boxed(b"iloc", &[&[0, 0, 0, 0, 0x44, 0], &numbers(&[counted]), &places]),
                    &boxed(b"iinf", &[&[0; 4], &numbers(&[counted]), &infos]),
                    &boxed(b"iref", &[&[0; 4], &referring]),
                    &described,
                ],
            )
        };
        let place = start.len() + meta(0).len() + 8;
        let data: Vec<u8> = items.iter().flat_map(|(.., data)| data.clone()).collect();
        [start, meta(place), boxed(b"mdat", &[&data])].concat()
    }
}

fn changed(change: impl Fn(&mut Heif)) -> Vec<u8> {
    let mut heif = PLAIN;
    change(&mut heif);
    heif.file()
}

#[test]
fn what_the_boxes_of_heic_and_avif_say_is_compared_though_nothing_decodes_them() {
    for brand in [b"heic", b"avif"] {
        let of = |change: fn(&mut Heif)| {
            changed(|heif| {
                heif.brand = brand;
                change(heif);
            })
        };
        let original = of(|heif| heif.turned = turned(3));
        let mut same = original.clone();
        same.extend(boxed(b"free", &[]));
        assert_eq!(verdict(&original, &same), (Vec::new(), vec![Check::SamePicture]));
        let table: [(Check, Change); 8] = [
            (Check::PixelSize, |heif| heif.size = (2000, 1500)),
            (Check::Orientation, |heif| heif.turned = Vec::new()),
            (Check::BitDepth, |heif| heif.bits = 10),
            (Check::IccProfile, |heif| heif.icc = None),
            (Check::IccProfile, |heif| heif.points = Some((9, 16))),
            (Check::Copyright, |heif| heif.artist = b"Bo\0"),
            (Check::Copyright, |heif| heif.rights = ""),
            (Check::Pages, |heif| heif.has_second = false),
        ];
        for (check, change) in table {
            let result = changed(|heif| {
                heif.brand = brand;
                heif.turned = turned(3);
                change(heif);
            });
            assert_eq!(verdict(&original, &result).0, [check]);
        }
        let opaque = of(|heif| (heif.turned, heif.has_alpha) = (turned(3), false));
        assert_eq!(verdict(&original, &opaque).0, [Check::Alpha]);
        let usual = of(|heif| (heif.turned, heif.points) = (turned(3), Some((1, 13))));
        assert_eq!(verdict(&original, &usual).0, []);
    }
}

#[test]
fn a_heic_whose_tiles_are_not_all_there_is_no_picture() {
    let original = PLAIN.file();
    for cut in [30, original.len() / 2, original.len() - 200] {
        assert!(!verdict(&original, &original[..cut]).0.is_empty(), "{cut}");
    }
    // `mdat` is complete, but ends before the ranges of the items do.
    let data = original.windows(4).position(|name| name == b"mdat").unwrap();
    let mut cut = original[..data + 14].to_vec();
    cut[data - 4..data].copy_from_slice(&18_u32.to_be_bytes());
    let failed = verdict(&original, &cut).0;
    assert!(failed.contains(&Check::Orientation), "{failed:?}");
}

#[test]
fn a_gain_map_that_a_heic_lost_is_named() {
    let result = changed(|heif| heif.has_gain_map = false);
    let unchecked = check_result(&facts(&PLAIN.file()), &facts(&result), &Checks::default()).unwrap();
    assert!(unchecked[0].to_string().ends_with("; the gain map behind it is lost"), "{unchecked:?}");
}

#[test]
fn all_that_turns_and_mirrors_a_heic_is_one_orientation() {
    let table: [(&[Vec<u8>], u32); 10] = [
        (&[], 1),
        (&[turned(0)], 1),
        (&[turned(1)], 8),
        (&[turned(2)], 3),
        (&[turned(3)], 6),
        (&[mirrored(1)], 2),
        (&[mirrored(0)], 4),
        (&[turned(1), mirrored(1)], 7),
        (&[turned(3), mirrored(1)], 5),
        (&[turned(2), mirrored(0)], 2),
    ];
    for (boxes, wanted) in table {
        let file = changed(|heif| heif.turned = boxes.concat());
        let Some(Content::Picture(picture)) = facts(&file).content.map(|content| *content) else {
            panic!("it is not read")
        };
        assert_eq!(picture.orientation, wanted, "{boxes:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn malformed_boxes_of_items_are_read_without_a_stumble(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
    ) {
        let mut file = PLAIN.file();
        for (at, value) in changes {
            let at = at.index(file.len());
            file[at] = value;
        }
        let stumbled = Content::Unreadable("its reader stumbled over it".to_owned());
        prop_assert_ne!(facts(&file).content.map(|content| *content), Some(stumbled));
    }
}
