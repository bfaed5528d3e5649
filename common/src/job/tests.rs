use super::*;
use crate::asset::{Asset, samples};
use crate::content::{Content, Credit, Film, Picture, Profile, Thumbnail, View};
use crate::hash::ContentHash;
use crate::hash::FileFacts;
use crate::marker::Marker;
use crate::outcome::MOST_REQUEST_IDS;

fn job() -> Job {
    Job::new(
        RunId("run-1".to_owned()),
        "1F0A9C2E-77B1-4D3C-9E5512AB34CD56EF".parse().unwrap(),
        "Alpine lake",
        Lane::Backlog,
        3,
        None,
        "2026-01-02T03:04:05Z".parse().unwrap(),
    )
}

#[test]
fn what_is_encoded_is_decoded() {
    let mut job = job();
    job.effects.original = Some(FileFacts {
        sha256: ContentHash::from_bytes([7; 32]),
        bytes: 12,
        media_type: Some("image/png".to_owned()),
        pixels: Some((3, 4)),
        content: None,
    });
    assert_eq!(Job::decode(&job.encode().unwrap()).unwrap(), job);
}

#[test]
fn the_wire_form_is_stable() {
    insta::assert_snapshot!(String::from_utf8(job().encode().unwrap()).unwrap(), @r#"{"v":1,"job_id":"059c8b7c45f15b9a64feb8639646163a","run_id":"run-1","asset_id":"1F0A9C2E-77B1-4D3C-9E5512AB34CD56EF","asset_name":"Alpine lake","lane":"backlog","step":"submit","base":3,"top":3,"attempt":0,"waited_ms":0,"unseen_marker_looks":0,"restarts":0,"suspect":false,"lost_deliveries":0,"held":false,"traceparent":"00-059c8b7c45f15b9a64feb8639646163a-64feb8639646163a-01","created_at":"2026-01-02T03:04:05Z","effects":{},"bytes_downloaded":0,"bytes_uploaded":0}"#);
}

#[test]
fn a_message_of_the_first_release_still_decodes() {
    let first = Job::decode(include_bytes!("fixtures/first-release.json")).unwrap();
    assert_eq!(first, Job { traceparent: None, ..job() });
}

#[test]
fn an_original_that_the_first_release_inspected_counts_as_never_looked_into() {
    let job = Job::decode(include_bytes!("fixtures/first-release-submitted.json")).unwrap();
    let original = job.effects.original.unwrap();
    assert_eq!((original.pixels, original.content), (Some((160, 120)), None));
}

#[test]
fn fields_of_a_later_release_are_carried_along() {
    let mut value: serde_json::Value = serde_json::from_slice(&job().encode().unwrap()).unwrap();
    value["invented"] = 5.into();
    let decoded = Job::decode(value.to_string().as_bytes()).unwrap();
    let again: serde_json::Value = serde_json::from_slice(&decoded.encode().unwrap()).unwrap();
    assert_eq!(again, value);
}

#[test]
fn a_message_that_could_not_be_passed_on_is_refused_before_its_step() {
    let with = |numbers: usize| {
        let more = format!(",\"invented\":[{}0]}}", "1e15,".repeat(numbers));
        [job().encode().unwrap().strip_suffix(b"}").unwrap(), more.as_bytes()].concat()
    };
    assert!(Job::decode(&with(3_000)).unwrap().encode().is_ok());
    assert!(matches!(Job::decode(&with(12_000)), Err(MessageError::TooLarge(_))));
}

/// Every place of a number in a value.
fn numbers(value: &serde_json::Value, at: &str) -> Vec<String> {
    let within = |name: String, inner| numbers(inner, &format!("{at}/{name}"));
    match value {
        serde_json::Value::Object(fields) => {
            fields.iter().flat_map(|(name, inner)| within(name.clone(), inner)).collect()
        }
        serde_json::Value::Array(items) => {
            items.iter().enumerate().flat_map(|(place, inner)| within(place.to_string(), inner)).collect()
        }
        serde_json::Value::Number(_) => vec![at.to_owned()],
        _ => Vec::new(),
    }
}

#[test]
fn no_number_of_a_job_is_larger_than_what_can_be_added_to_and_multiplied() {
    let text = include_bytes!("fixtures/everything.json");
    assert_eq!(Job::decode(text).unwrap().effects.parcel.unwrap().parts, 2);
    let whole: serde_json::Value = serde_json::from_slice(text).unwrap();
    // Moments become the job's own waits; pixels and contents are compared, and nothing else.
    let moments = ["imported", "since", "saved", "quiet"];
    for place in numbers(&whole, "") {
        let free = ["/pixels/", "/content/"].iter().any(|within| place.contains(within))
            || moments.iter().any(|moment| place.ends_with(moment));
        let extreme = |number: u64| {
            let mut changed = whole.clone();
            *changed.pointer_mut(&place).unwrap() = number.into();
            Job::decode(changed.to_string().as_bytes())
        };
        // A 32-bit number would not hold the first.
        for number in [u64::MAX, u32::MAX.into()] {
            let is_bytes = place.contains("bytes") || place.ends_with("_ms");
            let may = free || (is_bytes && number != u64::MAX);
            assert!(may || extreme(number).is_err(), "{place} may be {number}");
        }
    }
}

#[test]
fn a_trace_context_that_is_none_is_left_out() {
    let kept = job().traceparent.unwrap();
    let with = |context: &str| {
        let text = String::from_utf8(job().encode().unwrap()).unwrap();
        Job::decode(text.replace(&kept, context).as_bytes()).unwrap().traceparent
    };
    assert_eq!(with(&kept), Some(kept.clone()));
    let long = format!("00-{}-01", "a".repeat(40_000));
    for other in ["", "00", &long, &format!("{kept}-00"), &kept.replace('a', "g"), &kept[1..]] {
        assert_eq!(with(other), None, "{other}");
    }
}

#[test]
fn an_unknown_format_and_garbage_are_refused() {
    let later = String::from_utf8(job().encode().unwrap()).unwrap().replacen("\"v\":1", "\"v\":2", 1);
    assert!(matches!(Job::decode(later.as_bytes()), Err(MessageError::Newer(2))));
    assert!(matches!(Job::decode(b"{}"), Err(MessageError::Malformed(_))));
    assert!(matches!(Job::decode(&vec![b' '; MOST_MESSAGE_BYTES + 1]), Err(MessageError::TooLarge(_))));
    let long = String::from_utf8(job().encode().unwrap()).unwrap().replacen("059c", &"a".repeat(256), 1);
    assert!(matches!(Job::decode(long.as_bytes()), Err(MessageError::Malformed(_))));
    let traversal =
        String::from_utf8(job().encode().unwrap()).unwrap().replace("1F0A9C2E-77B1", "../v7/users");
    assert!(matches!(Job::decode(traversal.as_bytes()), Err(MessageError::Malformed(_))));
}

#[test]
fn words_that_an_older_release_cannot_read_need_a_new_message_version() {
    let classes = FailureClass::ALL.map(FailureClass::name);
    let words = [&Step::LATEST_FIRST.map(Step::name)[..], Outcome::NAMES, &classes].concat().join(" ");
    // A process of the release before puts off a message of an unknown version, and moves one with an unknown word to
    // the dead letters. So a new word needs a new version here; a version that was released keeps its words.
    assert_eq!(
        (MESSAGE_VERSION, words.as_str()),
        (
            1,
            "save transfer submit watermarked already_protected superseded awaiting_approval gone failed permission \
             no_original unsupported refused bad_result marker ambiguous exhausted timed_out local malformed"
        )
    );
}

#[test]
fn the_same_run_asset_and_version_give_the_same_id() {
    assert_eq!(job().job_id, job().job_id);
    let other = JobId::derive(&RunId("run-1".to_owned()), &job().asset_id, 4);
    assert_ne!(job().job_id, other);
}

#[test]
fn only_the_latest_attempts_are_remembered() {
    let mut job = job();
    for number in 0..20 {
        job.remember(FailedAttempt {
            at: job.created_at,
            step: Step::Submit,
            class: FailureClass::Exhausted,
            reason: number.to_string(),
            request_id: None,
        });
    }
    assert_eq!(job.history.first().map(|attempt| attempt.reason.as_str()), Some("12"));
    assert_eq!(job.history.len(), 8);
}

#[test]
fn no_text_of_a_file_or_a_field_is_shown_with_a_signature_in_it() {
    const SIGNED: &str = "see https://x.example/f.jpg?X-Amz-Signature=s3cr3tS1gn4ture0123456789abcdef01";
    let signed = || Some(SIGNED.to_owned());
    let facts = |content| {
        Some(FileFacts {
            sha256: ContentHash::from_bytes([7; 32]),
            bytes: 12,
            media_type: Some("image/png".to_owned()),
            pixels: None,
            content: Some(Box::new(content)),
        })
    };
    let picture = |view| {
        facts(Content::Picture(Picture {
            icc_profile: signed(),
            colours: signed(),
            profile: Some(Profile::Icc { name: format!("{SIGNED} (0123456789ab)"), is_srgb: false }),
            credits: [(Credit::XmpRights, SIGNED.to_owned())].into(),
            view: Some(view),
            ..Picture::default()
        }))
    };
    let film = facts(Content::Film(Film {
        damage: signed(),
        tracks: (10..40).map(|piece| format!("k{piece}x")).collect(),
        ..Film::default()
    }));
    let thumbnail: Thumbnail = serde_json::from_value(serde_json::json!("77".repeat(768))).unwrap();
    let renewal = Renewal { copy: job().asset_id, base: 1, top: 1, marker_text: signed(), marked: None };
    let mut job = Job { extension: signed(), marker_text: signed(), ..job() };
    job.unknown.insert("later".to_owned(), SIGNED.into());
    job.effects.renewal = Some(renewal);
    let text = || UploadText::try_from(SIGNED.to_owned()).unwrap();
    job.effects.parcel =
        Some(Parcel { upload_id: text(), target_id: text(), s3_file_name: text(), parts: 1 });
    for (original, watermarked) in [
        (picture(View::Undecodable(SIGNED.to_owned())), film),
        (facts(Content::Unreadable(SIGNED.to_owned())), picture(View::Thumbnail(thumbnail))),
    ] {
        job.effects.original = original;
        job.effects.watermarked = watermarked;
        let shown = serde_json::to_string(&job.clone().shown()).unwrap();
        assert!(
            !shown.contains("s3cr3t")
                && !shown.contains("x.example")
                && !shown.contains("k39x")
                && !shown.contains("77777"),
            "{shown}"
        );
        assert!(shown.contains(&ContentHash::from_bytes([7; 32]).to_string()), "{shown}");
    }
    // Another tool's hash has the form of a key.
    let hash = Some("ab".repeat(20));
    assert_eq!(Job { marker_text: hash, ..job.clone() }.shown().marker_text, Some("…".to_owned()));
    let own = format!("{0} {0} v1 500", "ab".repeat(32));
    let job = Job { marker_text: Some(own.clone()), ..job };
    assert_eq!(job.shown().marker_text, Some(own));
}

#[test]
fn no_marker_text_makes_a_job_too_large_or_is_taken_for_the_connectors_own_once_it_is_cut() {
    let own = format!("{0} {0} v1 500", "ab".repeat(32));
    let texts = ["x".repeat(1 << 20), "ü".repeat(1 << 19), format!("{own}{}junk", " ".repeat(1 << 16))];
    for text in texts {
        let properties = [("hash".to_owned(), vec![text])].into();
        let asset = Asset { properties, ..samples::asset() };
        let job = Job { marker_text: asset.marker_text("hash"), ..job() };
        assert!(job.encode().is_ok());
        assert!(matches!(Marker::parse(job.marker_text.as_deref()), Marker::Foreign(_)), "{job:?}");
    }
    let properties = [("hash".to_owned(), vec![own.clone()])].into();
    assert_eq!(Asset { properties, ..samples::asset() }.marker_text("hash"), Some(own));
}

#[test]
fn a_moment_is_told_by_the_jobs_waits_and_an_earlier_releases_counts_from_now_on() {
    let mut job = Job { waited_ms: 5_000, ..job() };
    let mut mark = job.wait_mark();
    job.waited_ms = 65_000;
    assert_eq!(job.waited_since(&mut mark), Duration::from_mins(1));
    let mut earlier: WaitMark = serde_json::from_str("\"2026-01-01T00:00:00Z\"").unwrap();
    assert_eq!(job.waited_since(&mut earlier), Duration::ZERO);
    job.waited_ms += 1_000;
    assert_eq!(job.waited_since(&mut earlier), Duration::from_secs(1));
    let effects: Effects = serde_json::from_str(r#"{"saved_at":"2026-01-01T00:00:00Z"}"#).unwrap();
    assert!(effects.saved.is_some());
}

#[test]
fn a_longer_name_in_a_message_is_shortened_as_one_of_the_listing_is() {
    let text = String::from_utf8(job().encode().unwrap()).unwrap();
    let name = "ü".repeat(30_000);
    let read = Job::decode(text.replace("Alpine lake", &name).as_bytes()).unwrap();
    assert_eq!(read.asset_name, "ü".repeat(200));
}

#[test]
fn a_long_list_of_request_ids_takes_no_more_memory_than_a_genuine_one() {
    let mut value = serde_json::to_value(job()).unwrap();
    value["effects"]["request_ids"] = serde_json::json!(vec!["x"; 10_000]);
    let read: Job = serde_json::from_value(value).unwrap();
    assert_eq!(read.effects.request_ids.len(), MOST_REQUEST_IDS);
}
