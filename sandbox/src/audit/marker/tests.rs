use common::hash::ContentHash;
use common::marker::{Kin, Marker as Written, Records};

use super::*;

const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const B: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn record(version: u32, bytes: u64) -> Record {
    Record { original: A.to_owned(), watermarked: B.to_owned(), version, bytes }
}

fn parse(text: &str) -> Marker {
    Marker::parse(Some(text))
}

#[test]
fn each_documented_form_is_read() {
    let ours = |opted_out, records| Marker::Ours { opted_out, records };
    let one = format!("{A} {B} v3 400");
    for (text, wanted) in [
        (one.clone(), ours(false, vec![record(3, 400)])),
        (format!("{A} {B} v4 7; {one}"), ours(false, vec![record(4, 7), record(3, 400)])),
        (format!("opted-out; {one}"), ours(true, vec![record(3, 400)])),
        (format!("copied-to 1F-a_9; {one}"), ours(false, vec![record(3, 400)])),
        (format!("opted-out; copy-of 1F-a_9; {one}"), ours(true, vec![record(3, 400)])),
        ("copied-to 1F-a_9".to_owned(), ours(false, vec![])),
        ("opted-out; copied-to 1F-a_9".to_owned(), ours(true, vec![])),
        ("opted-out".to_owned(), ours(true, vec![])),
        ("opted-out; ".to_owned(), ours(true, vec![])),
        (" \n".to_owned(), Marker::Blank),
        ("A".repeat(32), Marker::Legacy),
        ("a".repeat(40), Marker::Legacy),
        (A.to_owned(), Marker::Legacy),
    ] {
        assert_eq!(parse(&text), wanted, "{text}");
    }
    assert_eq!(Marker::parse(None), Marker::Blank);
}

#[test]
fn a_malformed_marker_is_foreign_as_a_whole() {
    let one = format!("{A} {B} v3 400");
    for text in [
        "see ticket 4711".to_owned(),
        "a".repeat(63),
        format!("{one}; note"),
        format!("{one} x"),
        format!("{one};"),
        format!("{one},{one}"),
        format!("{one};{one}"),
        format!("{one}; ; {one}"),
        [one.as_str(); 9].join("; "),
        one.replace(" v3", " 3"),
        one.replace(" v3", " v+3"),
        one.replace(" v3", " v03"),
        one.replace(" v3", " v4294967296"),
        one.replace(" 400", " +400"),
        one.replace(" 400", " -1"),
        one.replace(" 400", " 18446744073709551616"),
        one.replace(" 400", ""),
        one.replace(' ', "  "),
        one.replace(A, &A.to_uppercase()),
        one.replace(A, &A[1..]),
        format!("opted-out {one}"),
        format!("opted-out;{one}"),
        format!("{one}; opted-out"),
        format!("Opted-Out; {one}"),
        format!("{one}; copy-of X"),
        format!("copy-of X; opted-out; {one}"),
        format!("copy-of X; copied-to Y; {one}"),
        format!("copy-of ; {one}"),
        format!("copy-of a/b; {one}"),
        format!("copy-of {}; {one}", "x".repeat(65)),
    ] {
        assert_eq!(parse(&text), Marker::Foreign, "{text}");
    }
}

/// The auditor reads the same records that the connector wrote, for 0 to 10 protected files.
#[test]
fn the_auditor_reads_all_that_the_connector_writes() {
    let id: common::asset::AssetId = "1F0A9C2E-77B1-4D3C-9E5512AB34CD56EF".parse().unwrap();
    for kin in [None, Some(Kin::CopyOf(id.clone())), Some(Kin::CopiedTo(id))] {
        for count in 0..=10_u8 {
            for opted_out in [false, true] {
                let written = (1..=count).fold(Records::default(), |records, number| {
                    records.with(common::marker::Record {
                        original: ContentHash::from_bytes([number; 32]),
                        watermarked: ContentHash::from_bytes([100 + number; 32]),
                        version: u32::MAX - u32::from(number),
                        bytes: u64::MAX / u64::from(number),
                    })
                });
                let written = kin.iter().cloned().fold(written, Records::with_kin).with_opt_out(opted_out);
                let text = written.to_string();
                let records: Vec<_> = written.iter().map(as_read).collect();
                let wanted = match Written::parse(Some(&text)) {
                    Written::Absent => Marker::Blank,
                    _ => Marker::Ours { opted_out, records },
                };
                assert_eq!(parse(&text), wanted, "{text}");
                assert_eq!(wanted == Marker::Blank, count == 0 && kin.is_none() && !opted_out);
            }
        }
    }
}

fn as_read(record: &common::marker::Record) -> Record {
    Record {
        original: record.original.to_string(),
        watermarked: record.watermarked.to_string(),
        version: record.version,
        bytes: record.bytes,
    }
}
