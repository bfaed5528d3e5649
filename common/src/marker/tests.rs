use proptest::prelude::*;

use super::*;

fn hash(byte: u8) -> ContentHash {
    ContentHash::from_bytes([byte; 32])
}

fn record(original: u8, watermarked: u8, version: u32, bytes: u64) -> Record {
    Record { original: hash(original), watermarked: hash(watermarked), version, bytes }
}

fn any_record() -> impl Strategy<Value = Record> {
    (any::<[u8; 32]>(), any::<[u8; 32]>(), any::<u32>(), any::<u64>()).prop_map(
        |(original, watermarked, version, bytes)| Record {
            original: ContentHash::from_bytes(original),
            watermarked: ContentHash::from_bytes(watermarked),
            version,
            bytes,
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(opted_out: bool, added in prop::collection::vec(any_record(), 1..20)) {
        let start = Records { opted_out, ..Records::default() };
        let records = added.into_iter().fold(start, Records::with);
        prop_assert_eq!(Marker::parse(Some(&records.to_string())), Marker::Ours(records));
    }

    #[test]
    fn a_marker_always_fits_the_text_field(added in prop::collection::vec(any_record(), 0..30)) {
        let records = added.into_iter().fold(Records { opted_out: true, ..Records::default() }, Records::with);
        prop_assert!(records.to_string().len() <= 2500);
        prop_assert!(records.iter().count() <= MOST_RECORDS);
    }

    #[test]
    fn the_newest_record_is_first_and_protects_its_version(older in prop::collection::vec(any_record(), 0..9), newest in any_record()) {
        let records = older.into_iter().fold(Records::default(), Records::with).with(newest);
        prop_assert_eq!(records.iter().next(), Some(&newest));
        prop_assert!(Marker::Ours(records).protects(newest.version, newest.bytes));
    }

    #[test]
    fn no_text_panics_and_foreign_text_is_kept_whole(text in "\\PC{0,200}") {
        if let Marker::Foreign(kept) = Marker::parse(Some(&text)) {
            prop_assert_eq!(kept.as_str(), text.trim());
        }
    }

    #[test]
    fn one_version_never_has_two_records(added in prop::collection::vec(any_record(), 0..12), version in 1_u32..4) {
        let records = added.into_iter().map(|record| Record { version, ..record }).fold(Records::default(), Records::with);
        prop_assert!(records.iter().count() <= 1);
    }
}

#[test]
fn a_tie_is_read_back_stands_before_the_records_and_still_fits() {
    let id: crate::asset::AssetId = "A".repeat(64).parse().unwrap();
    for kin in [Kin::CopyOf(id.clone()), Kin::CopiedTo(id)] {
        let all = (0..8).fold(Records::default(), |records, number| {
            records.with(record(number, number + 100, u32::MAX - u32::from(number), u64::MAX))
        });
        let records = all.with_kin(kin.clone()).with_opt_out(true);
        let text = records.to_string();
        assert!(text.starts_with(&format!("opted-out; {kin}; ")) && text.len() <= 2500, "{text}");
        assert_eq!(Marker::parse(Some(&text)), Marker::Ours(records));
    }
    assert!(matches!(Marker::parse(Some("copy-of nothing/at/all")), Marker::Foreign(_)));
    assert!(matches!(Marker::parse(Some("a copy-of A")), Marker::Foreign(_)));
}

#[test]
fn records_of_files_that_a_copy_held_before_are_taken_back() {
    let (old, other, new) = (record(1, 2, 1, 5), record(3, 4, 2, 6), record(5, 6, 3, 7));
    let on_copy = Records::default().with(record(1, 2, 1, 9));
    let on_original = Records::default().with(old).with(other).without_those_of(&on_copy).with(new);
    assert_eq!(on_original.iter().copied().collect::<Vec<_>>(), [new, other]);
}

#[test]
fn absent_and_blank_say_nothing() {
    assert_eq!(Marker::parse(None), Marker::Absent);
    assert_eq!(Marker::parse(Some(" \n")), Marker::Absent);
}

#[test]
fn a_bare_hash_is_legacy_by_its_length() {
    for (length, wanted) in [(32, true), (40, true), (64, true), (63, false), (128, false)] {
        let marker = Marker::parse(Some(&"A".repeat(length)));
        assert_eq!(matches!(marker, Marker::Legacy(_)), wanted, "{length}");
    }
}

#[test]
fn a_damaged_record_makes_the_whole_text_foreign() {
    let good = record(1, 2, 3, 4).to_string();
    for text in [
        format!("{good}; note"),
        format!("{good} x"),
        good.replace(" v3", " 3"),
        good.replace(" 4", " +4"),
        good[1..].to_owned(),
    ] {
        assert!(matches!(Marker::parse(Some(&text)), Marker::Foreign(_)), "{text}");
    }
}

#[test]
fn opting_out_survives_new_records_and_may_stand_alone() {
    assert!(Marker::parse(Some("opted-out")).opted_out());
    assert!(Marker::parse(Some("opted-out; ")).opted_out());
    let records = Marker::parse(Some("opted-out; ")).into_records().unwrap().with(record(1, 2, 3, 4));
    assert!(Marker::parse(Some(&records.to_string())).opted_out());
}

#[test]
fn version_and_bytes_must_both_match() {
    let marker = Marker::Ours(Records::default().with(record(1, 2, 3, 400)));
    assert!(marker.protects(3, 400));
    assert!(!marker.protects(4, 400));
    assert!(!marker.protects(3, 401));
}

#[test]
fn an_original_hash_is_not_protection() {
    let marker = Marker::Ours(Records::default().with(record(1, 2, 3, 4)));
    assert_eq!(
        marker.verdict(hash(2), false, LegacyMeaning::Original),
        FileVerdict::Watermarked(record(1, 2, 3, 4))
    );
    assert_eq!(
        marker.verdict(hash(1), false, LegacyMeaning::Original),
        FileVerdict::KnownOriginal(record(1, 2, 3, 4))
    );
    assert_eq!(marker.verdict(hash(9), false, LegacyMeaning::Original), FileVerdict::Unknown);
}

#[test]
fn a_legacy_hash_means_what_the_configuration_says() {
    let marker = Marker::parse(Some("d41d8cd98f00b204e9800998ecf8427e"));
    assert_eq!(marker.verdict(hash(1), true, LegacyMeaning::Protected), FileVerdict::LegacyProtected);
    assert_eq!(marker.verdict(hash(1), true, LegacyMeaning::Original), FileVerdict::Unknown);
    assert_eq!(marker.verdict(hash(1), false, LegacyMeaning::Protected), FileVerdict::Unknown);
}

#[test]
fn foreign_text_gives_no_records_to_build_on() {
    let text = "see ticket 4711";
    assert_eq!(Marker::parse(Some(text)).into_records(), Err(ForeignText(text.to_owned())));
}

#[test]
fn a_record_taken_back_no_longer_protects() {
    let kept = record(1, 2, 3, 4);
    let pending = record(1, 5, 4, 6);
    let records = Records::default().with(kept).with(pending).without(&pending);
    assert_eq!(records, Records::default().with(kept));
}
