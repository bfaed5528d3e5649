//! Whatever a file's metadata contains, a job with its facts fits into a message.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up its world has to stop there")]

use std::io::Cursor;

use common::asset::ShownFile;
use common::job::{FailedAttempt, Job, Lane, RunId, Step};
use common::outcome::FailureClass;
use jiff::Timestamp;
use media::{Check, Checks, Content, ContentHash, FileFacts, Obstacle, read};
use proptest::prelude::*;
use tiff::encoder::{TiffEncoder, colortype};
use tiff::tags::Tag;

/// Metadata that people, or attackers, may write into a file.
#[derive(Debug, Clone)]
struct Said {
    copyright: String,
    artist: String,
    rights: Vec<String>,
    creators: Vec<String>,
    bylines: Vec<String>,
    notice: String,
}

fn text(letters: &'static [char]) -> impl Strategy<Value = String> {
    let lengths = prop::sample::select(&[0, 1, 199, 200, 201, 700, 30_000][..]);
    (prop::sample::select(letters), lengths).prop_map(|(letter, length)| letter.to_string().repeat(length))
}

fn said() -> impl Strategy<Value = Said> {
    // EXIF is ASCII, and XML cannot contain control characters; the fixture escapes quotes.
    let ascii = || text(&['a', '"', '\\', '\u{1}', '\n']);
    let any = || text(&['a', '"', '\\', 'é', '漢', '😀']);
    let several = || prop::collection::vec(any(), 0..20);
    let bylines = prop::collection::vec(text(&['a', '"', '\u{1}', '\u{7f}']), 0..20);
    let notice = text(&['a', '"', '\\', '\u{1}']);
    (ascii(), ascii(), several(), several(), bylines, notice).prop_map(
        |(copyright, artist, rights, creators, bylines, notice)| Said {
            copyright,
            artist,
            rights,
            creators,
            bylines,
            notice,
        },
    )
}

fn xmp(said: &Said) -> Vec<u8> {
    let items = |texts: &[String]| -> String {
        let item =
            |(number, text): (usize, &String)| format!(r#"<rdf:li xml:lang="l{number}">{text}</rdf:li>"#);
        texts.iter().enumerate().map(item).collect::<Vec<_>>().concat()
    };
    let (rights, creators) = (items(&said.rights), items(&said.creators));
    format!(
        r#"<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:rights><rdf:Alt>{rights}</rdf:Alt></dc:rights><dc:creator><rdf:Seq>{creators}</rdf:Seq></dc:creator></rdf:Description></rdf:RDF></x:xmpmeta>"#
    )
    .into_bytes()
}

fn iptc(said: &Said) -> Vec<u8> {
    let dataset = |number: u8, text: &str| {
        let length = u16::try_from(text.len()).unwrap().to_be_bytes();
        [&[0x1C, 2, number], &length[..], text.as_bytes()].concat()
    };
    let bylines = said.bylines.iter().flat_map(|byline| dataset(80, byline));
    bylines.chain(dataset(116, &said.notice)).collect()
}

/// A picture large enough for details, with these texts in all places.
fn picture(said: &Said) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    let mut encoder = TiffEncoder::new(&mut file).unwrap();
    let mut image = encoder.new_image::<colortype::RGBA8>(400, 400).unwrap();
    let tags = image.encoder();
    tags.write_tag(Tag::Copyright, said.copyright.as_str()).unwrap();
    tags.write_tag(Tag::Artist, said.artist.as_str()).unwrap();
    tags.write_tag(Tag::Unknown(700), &xmp(said)[..]).unwrap();
    tags.write_tag(Tag::Unknown(33723), &iptc(said)[..]).unwrap();
    tags.write_tag(Tag::ExtraSamples, 2_u16).unwrap();
    let pixels: Vec<_> =
        (0..400_u32 * 400).flat_map(|at| at.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    image.write_data(&pixels).unwrap();
    file.into_inner()
}

fn facts(said: &Said) -> FileFacts {
    let file = picture(said);
    read(Cursor::new(&file), &Checks::default())
        .into_facts(ContentHash::of(&file[..]).unwrap(), file.len() as u64)
}

/// A job whose other fields are as long as they can be.
fn job(original: FileFacts, watermarked: FileFacts) -> Job {
    let long = "😀".repeat(3000);
    let at = Timestamp::UNIX_EPOCH;
    let marker = Some("\"".repeat(4096));
    let mut job = Job::new(RunId("r".repeat(64)), "a".parse().unwrap(), &long, Lane::Fresh, 1, marker, at);
    job.show_file(ShownFile {
        bytes: Some(u64::MAX),
        name: Some(long.clone()),
        extension: Some(long.clone()),
    });
    for _ in 0..20 {
        job.remember(FailedAttempt {
            at,
            step: Step::Transfer,
            class: FailureClass::Refused,
            reason: long.clone(),
            request_id: Some("i".repeat(200)),
        });
        job.effects.note_request(Some("i".repeat(200)));
    }
    job.effects.original = Some(original);
    job.effects.watermarked = Some(watermarked);
    job.effects.unchecked = Check::ALL.into_iter().map(|check| (check, Obstacle::NotLookedAt)).collect();
    job
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn a_job_fits_into_its_message_whatever_its_files_say(original in said(), watermarked in said()) {
        let (original, watermarked) = (facts(&original), facts(&watermarked));
        prop_assert!(matches!(original.content.as_deref(), Some(Content::Picture(_))));
        let job = job(original, watermarked);
        let body = job.encode();
        prop_assert!(body.is_ok(), "{:?}", body.err());
        prop_assert_eq!(Job::decode(&body.unwrap()).unwrap(), job);
    }
}

/// Regression: a file whose copyright alone is longer than a message.
#[test]
fn a_picture_whose_every_text_is_as_long_as_can_be_fits_as_well() {
    let quotes = || "\"".repeat(30_000);
    let said = Said {
        copyright: "\u{1}".repeat(100_000),
        artist: quotes(),
        rights: vec!["😀".repeat(7000); 5],
        creators: (0..20).map(|number| format!("{number}{}", quotes())).collect(),
        bylines: vec!["\u{1}".repeat(30_000), quotes()],
        notice: quotes(),
    };
    let (original, watermarked) = (facts(&said), facts(&said));
    let Some(Content::Picture(picture)) = original.content.as_deref() else { panic!("{original:?}") };
    assert_eq!(picture.credits.len(), 6);
    job(original, watermarked).encode().unwrap();
}
