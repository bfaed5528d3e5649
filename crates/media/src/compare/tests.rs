use std::collections::{BTreeMap, BTreeSet};

use common::check::Obstacle;
use common::content::{Behind, Credit, Film, Picture, Profile, Thumbnail, View};
use common::hash::ContentHash;

use super::similarity::similarity;
use super::*;

fn picture() -> Picture {
    Picture {
        orientation: 1,
        bit_depth: 16,
        alpha: true,
        dpi: Some((300, 300)),
        exif_dpi: None,
        icc_profile: Some("sRGB (01)".to_owned()),
        colours: Some("RGB".to_owned()),
        profile: None,
        credits: BTreeMap::from([(Credit::IptcByline, "Jo".to_owned())]),
        frames: Some(3),
        behind: BTreeSet::new(),
        view: Some(View::Thumbnail(gradient(1))),
    }
}

fn film() -> Film {
    Film {
        damage: None,
        tracks: vec!["vide".to_owned()],
        duration_ms: 1000,
        resolutions: vec![(160, 90)],
        shown: None,
        rotations: None,
    }
}

fn gradient(step: usize) -> Thumbnail {
    Thumbnail::new(std::array::from_fn(|index| u8::try_from(index * step % 256).unwrap()))
}

fn facts(content: Option<Content>) -> FileFacts {
    let sha256 = ContentHash::from_bytes([1; 32]);
    FileFacts { sha256, bytes: 9, media_type: None, pixels: None, content: content.map(Box::new) }
}

fn found(check: Check, original: Content, result: Content) -> Finding {
    compare(check, &facts(Some(original)), &facts(Some(result)), 0.95)
}

fn differs(original: &str, result: &str) -> Finding {
    Finding::Differs { original: original.to_owned(), result: result.to_owned() }
}

#[test]
fn each_trait_of_a_picture_is_compared_and_shown_on_both_sides() {
    let changed = |change: fn(&mut Picture)| {
        let mut picture = picture();
        change(&mut picture);
        picture
    };
    let table = [
        (Check::Orientation, changed(|it| it.orientation = 6), differs("orientation 1", "orientation 6")),
        (Check::BitDepth, changed(|it| it.bit_depth = 8), differs("16 bits a channel", "8 bits a channel")),
        (Check::Alpha, changed(|it| it.alpha = false), differs("transparency", "no transparency")),
        (Check::Dpi, changed(|it| it.dpi = None), differs("300 × 300 dpi", "none")),
        (Check::Dpi, changed(|it| it.dpi = Some((72, 300))), differs("300 × 300 dpi", "72 × 300 dpi")),
        (Check::Dpi, changed(|it| it.dpi = Some((299, 301))), Finding::Same),
        (
            Check::IccProfile,
            changed(|it| it.icc_profile = None),
            differs("the profile sRGB (01)", "no profile"),
        ),
        (
            Check::IccProfile,
            changed(|it| it.colours = Some("grey".to_owned())),
            differs("colours in RGB", "colours in grey"),
        ),
        (Check::IccProfile, changed(|it| it.colours = None), Finding::Same),
        (
            Check::Copyright,
            changed(|it| it.credits.clear()),
            differs("IPTC By-line \"Jo\"", "IPTC By-line nothing"),
        ),
        (
            Check::Copyright,
            changed(|it| {
                it.credits.insert(Credit::XmpRights, "added".to_owned());
            }),
            Finding::Same,
        ),
    ];
    for (check, result, wanted) in table {
        assert_eq!(found(check, Content::Picture(picture()), Content::Picture(result)), wanted);
    }
}

#[test]
fn of_what_a_file_says_only_prose_is_shown() {
    const LINK: &str = "https://x.example/f.jpg?X-Amz-Signature=s3cr3tS1gn4ture0123";
    const KEY: &str = "s3cr3t-key-637bcda8cac4cfecb560cd66ff56cbc7";
    for text in [LINK, KEY] {
        let with = |name: &str, credit: &str| {
            Content::Picture(Picture {
                profile: Some(Profile::Icc { name: name.to_owned(), is_srgb: false }),
                credits: BTreeMap::from([(Credit::XmpRights, credit.to_owned())]),
                ..picture()
            })
        };
        let named = format!("Display {text} (664e5f6547e4)");
        for check in [Check::IccProfile, Check::Copyright] {
            let said = format!("{:?}", found(check, with(&named, text), with("b", "(c) Jo Example 2026")));
            assert!(!said.contains("s3cr3t") && !said.contains("f.jpg"), "{said}");
            assert!(said.contains("664e5f6547e4") || said.contains("(c) Jo Example 2026"), "{said}");
        }
    }
}

#[test]
fn profiles_that_an_earlier_release_read_are_compared_as_it_did() {
    let with = |icc_profile: &str, profile| {
        Content::Picture(Picture { icc_profile: Some(icc_profile.to_owned()), profile, ..picture() })
    };
    let new = || Some(Profile::Icc { name: "new".to_owned(), is_srgb: false });
    assert_eq!(found(Check::IccProfile, with("a", None), with("a", new())), Finding::Same);
    let finding = found(Check::IccProfile, with("a", None), with("b", new()));
    assert_eq!(finding, differs("the profile a", "the profile b"));
    assert_eq!(found(Check::IccProfile, with("a", new()), with("b", new())), Finding::Same);
}

#[test]
fn orientations_without_a_meaning_count_as_one() {
    let turned = |orientation| Content::Picture(Picture { orientation, ..picture() });
    for nothing in [0, 9, u32::MAX] {
        for (original, result) in [(nothing, 1), (1, nothing), (nothing, 0)] {
            assert_eq!(found(Check::Orientation, turned(original), turned(result)), Finding::Same);
        }
        let finding = found(Check::Orientation, turned(nothing), turned(6));
        assert_eq!(finding, differs("orientation 1", "orientation 6"));
    }
}

#[test]
fn resolutions_of_zero_and_one_are_not_stated_and_of_two_either_will_do() {
    let stating = |dpi: [Option<u32>; 2]| {
        let [dpi, exif_dpi] = dpi.map(|dpi| dpi.map(|dpi| (dpi, dpi)));
        Content::Picture(Picture { dpi, exif_dpi, ..picture() })
    };
    let (two, none) = ([Some(72), Some(300)], [None, None]);
    let same = [
        ([Some(1), None], none),
        ([Some(0), None], [Some(72), None]),
        (two, [Some(300), None]),
        (two, [Some(72), None]),
        (two, two),
        ([Some(300), None], [Some(1), Some(300)]),
        ([Some(1), Some(300)], [Some(300), None]),
    ];
    for (original, result) in same {
        assert_eq!(
            found(Check::Dpi, stating(original), stating(result)),
            Finding::Same,
            "{original:?} {result:?}"
        );
    }
    let other = [
        (two, none, differs("72 × 72 dpi or 300 × 300 dpi", "none")),
        (two, [Some(150), Some(300)], differs("72 × 72 dpi or 300 × 300 dpi", "150 × 150 dpi")),
        ([Some(300), None], [Some(1), None], differs("300 × 300 dpi", "none")),
        ([Some(1), Some(300)], [Some(72), None], differs("300 × 300 dpi", "72 × 72 dpi")),
    ];
    for (original, result, wanted) in other {
        assert_eq!(found(Check::Dpi, stating(original), stating(result)), wanted, "{original:?} {result:?}");
    }
}

#[test]
fn each_trait_of_a_film_is_compared_and_shown_on_both_sides() {
    let changed = |change: fn(&mut Film)| {
        let mut film = film();
        change(&mut film);
        film
    };
    let table = [
        (
            Check::Container,
            changed(|it| it.damage = Some("cut".to_owned())),
            differs("an intact container", "none: cut"),
        ),
        (Check::Tracks, changed(|it| it.tracks.clear()), differs("the tracks vide", "no tracks")),
        (
            Check::Duration,
            changed(|it| it.duration_ms = 500),
            differs("a duration of 1000 ms", "a duration of 500 ms"),
        ),
        (Check::Duration, changed(|it| it.duration_ms = 1200), Finding::Same),
        (
            Check::Resolution,
            changed(|it| it.resolutions = vec![(80, 45)]),
            differs("pictures of 160 × 90", "pictures of 80 × 45"),
        ),
    ];
    for (check, result, wanted) in table {
        assert_eq!(found(check, Content::Film(film()), Content::Film(result)), wanted);
    }
    let pages = |pages| Content::Document { pages };
    assert_eq!(found(Check::Pages, pages(2), pages(1)), differs("2 pages", "1 pages"));
}

#[test]
fn what_the_original_does_not_show_is_impossible_to_check_for_a_named_kind_of_reason_and_never_a_failure() {
    let obstacle = |finding| match finding {
        Finding::Impossible(obstacle, _) => obstacle,
        other => panic!("{other:?}"),
    };
    let original = |content| {
        let result = facts(Some(Content::Picture(picture())));
        obstacle(compare(Check::Orientation, &facts(content), &result, 0.95))
    };
    assert_eq!(original(None), Obstacle::NotLookedAt);
    assert_eq!(original(Some(Content::Unreadable("cut".to_owned()))), Obstacle::Unreadable);
    assert_eq!(original(Some(Content::Unread)), Obstacle::NoReader);
    let views = [
        (None, Obstacle::NotLookedAt),
        (Some(View::TooLarge { needed: 1 << 30 }), Obstacle::TooLarge),
        (Some(View::Undecodable("cut".to_owned())), Obstacle::Undecodable),
    ];
    for (view, wanted) in views {
        let original = Content::Picture(Picture { view, ..picture() });
        assert_eq!(obstacle(found(Check::SamePicture, original, Content::Picture(picture()))), wanted);
    }
    let uncounted = Content::Picture(Picture { frames: None, ..picture() });
    assert_eq!(obstacle(found(Check::Pages, uncounted, Content::Picture(picture()))), Obstacle::Unstated);
    let with_film = Content::Picture(Picture { behind: [Behind::Film].into(), ..picture() });
    let without = Content::Picture(picture());
    assert_eq!(obstacle(found(Check::SamePicture, with_film, without)), Obstacle::NotCompared);
    let films = [
        (Check::Container, Film { damage: Some("cut".to_owned()), ..film() }, Obstacle::Unreadable),
        (Check::Duration, Film { duration_ms: 0, ..film() }, Obstacle::Unstated),
        (
            Check::Tracks,
            Film { tracks: [film().tracks, vec!["tmcd".to_owned()]].concat(), ..film() },
            Obstacle::NotCompared,
        ),
    ];
    for (check, original, wanted) in films {
        assert_eq!(obstacle(found(check, Content::Film(original), Content::Film(film()))), wanted);
    }
}

#[test]
fn a_result_that_cannot_be_read_where_the_original_could_is_bad() {
    let results = [Content::Unreadable("cut".to_owned()), Content::Other, Content::Film(film())];
    for result in results {
        let finding = found(Check::Alpha, Content::Picture(picture()), result);
        assert!(matches!(finding, Finding::Differs { .. }), "{finding:?}");
    }
    let undecodable = Picture { view: Some(View::Undecodable("cut".to_owned())), ..picture() };
    let finding = found(Check::SamePicture, Content::Picture(picture()), Content::Picture(undecodable));
    assert!(matches!(finding, Finding::Differs { .. }), "{finding:?}");
}

#[test]
fn a_check_of_another_kind_of_file_concerns_nobody() {
    for check in [Check::Orientation, Check::SamePicture, Check::Pages] {
        assert_eq!(found(check, Content::Film(film()), Content::Film(film())), Finding::Same);
        assert_eq!(found(check, Content::Other, Content::Other), Finding::Same);
    }
}

#[test]
fn similarity_is_one_for_the_same_and_symmetric_for_others() {
    let (left, right) = (gradient(1), gradient(7));
    assert!((similarity(&left, &left) - 1.0).abs() < 1e-9);
    assert!((similarity(&left, &right) - similarity(&right, &left)).abs() < 1e-9);
    assert!(similarity(&left, &right) < 0.5);
    let (white, black) = (Thumbnail::new([255; Thumbnail::BYTES]), Thumbnail::new([0; Thumbnail::BYTES]));
    assert!(similarity(&white, &black) < 0.01);
}
