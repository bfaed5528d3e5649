use super::*;
use crate::hash::{ContentHash, FileFacts};
use crate::job::MOST_MESSAGE_BYTES;

fn facts(content: Option<Content>) -> FileFacts {
    FileFacts {
        sha256: ContentHash::from_bytes([7; 32]),
        bytes: 12,
        media_type: Some("image/png".to_owned()),
        pixels: Some((3, 4)),
        content: content.map(Box::new),
    }
}

fn contents() -> Vec<Content> {
    let picture = |view| {
        Content::Picture(Picture {
            orientation: 6,
            bit_depth: 16,
            alpha: true,
            dpi: Some((300, 300)),
            exif_dpi: Some((72, 72)),
            icc_profile: Some("sRGB (0123456789ab)".to_owned()),
            colours: Some("RGB, gamma 1".to_owned()),
            profile: Some(Profile::Icc { name: "sRGB (ba9876543210)".to_owned(), is_srgb: true }),
            credits: BTreeMap::from([(Credit::ExifArtist, "Jo".to_owned())]),
            frames: Some(2),
            behind: BTreeSet::from([Behind::GainMap, Behind::SecondPicture, Behind::Film]),
            view,
        })
    };
    let film = Film {
        damage: Some("cut".to_owned()),
        tracks: vec!["soun".to_owned(), "vide".to_owned()],
        duration_ms: 1000,
        resolutions: vec![(1920, 1080)],
        shown: Some(vec![(1080, 1920)]),
        rotations: Some(vec![90]),
    };
    vec![
        picture(Some(View::Thumbnail(Thumbnail::new([9; Thumbnail::BYTES])))),
        picture(Some(View::Thumbnail(
            Thumbnail::new([9; Thumbnail::BYTES])
                .with_opacity([8; Thumbnail::CELLS])
                .with_details([15; Thumbnail::DETAILS]),
        ))),
        picture(Some(View::TooLarge { needed: 5 })),
        picture(Some(View::Undecodable("cut".to_owned()))),
        picture(None),
        Content::Film(film),
        Content::Document { pages: 3 },
        Content::Unreadable("cut".to_owned()),
        Content::Unread,
        Content::Other,
    ]
}

#[test]
fn whatever_was_read_of_a_file_survives_its_message_and_fits_into_it() {
    for content in contents() {
        let facts = facts(Some(content));
        let text = serde_json::to_vec(&facts).unwrap();
        assert_eq!(serde_json::from_slice::<FileFacts>(&text).unwrap(), facts);
        // A message carries two of them.
        assert!(text.len() < MOST_MESSAGE_BYTES / 8, "{} bytes", text.len());
    }
}

#[test]
fn facts_of_a_release_without_the_newer_fields_are_read() {
    let mut value = serde_json::to_value(facts(contents().into_iter().next())).unwrap();
    let picture = value["content"]["picture"].as_object_mut().unwrap();
    picture.retain(|name, _| !["exif_dpi", "profile", "behind"].contains(&name.as_str()));
    let read = serde_json::from_value::<FileFacts>(value).unwrap();
    let Some(Content::Picture(picture)) = read.content.map(|content| *content) else {
        panic!("it is not read")
    };
    assert_eq!((picture.exif_dpi, picture.profile, picture.behind), (None, None, BTreeSet::new()));
}

#[test]
fn content_of_another_release_counts_as_never_inspected() {
    let mut value = serde_json::to_value(facts(Some(Content::Other))).unwrap();
    for unknown in [serde_json::json!({"hologram": {}}), serde_json::json!(5), serde_json::Value::Null] {
        value["content"] = unknown;
        assert_eq!(serde_json::from_value::<FileFacts>(value.clone()).unwrap(), facts(None));
    }
}
