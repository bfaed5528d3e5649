//! The auditor detects every kind of violation: for each, a client commits that one and no other.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up its world has to stop there")]

mod client;

use std::collections::BTreeSet;
use std::time::Duration;

use sandbox::{Edit, NewAsset, NewVersion, Options, RateLimit, Restricted, ViolationKind};

use client::Client;

fn picture() -> Vec<u8> {
    sample_files::file(sample_files::Format::Png, 5, 40, 30)
}

async fn world(options: Options) -> Client {
    let quick = Duration::from_millis(10);
    let options = Options {
        index_lag: quick,
        modify_lag: Duration::ZERO,
        conversion_time: quick,
        watermark_time: quick,
        ..options
    };
    Client::new(sandbox::start(options).await.unwrap())
}

/// A sandbox with one unprotected asset.
async fn with_asset() -> (Client, String) {
    let client = world(Options::default()).await;
    let id = client.sandbox.add_asset(NewAsset::new("a.png", picture())).unwrap();
    (client, id)
}

/// Commits one kind of violation.
async fn commit(kind: ViolationKind) -> Client {
    use ViolationKind as Kind;
    let (client, id) = with_asset().await;
    let original = picture();
    match kind {
        Kind::DoneTwice => {
            client.watermark(&id, &original).await;
            client.watermark(&id, &original).await;
        }
        Kind::WrongFile => {
            let other = client.sandbox.add_asset(NewAsset::new("b.png", original.clone())).unwrap();
            let result = client.watermark(&other, &original).await;
            client.mark(&id, &client::record(&original, &result, 2)).await;
            client.save(&id, &result).await;
        }
        Kind::NotWatermarked => client.save(&id, b"\x89PNG but not from Imatag").await,
        Kind::WatermarkOfWatermark => {
            let result = client.protect(&id, &original).await;
            client.submit(&id, &result, "sandbox/bynder", true).await;
        }
        Kind::UnprotectedMarkedProtected => client.mark(&id, &client::record(&original, &original, 1)).await,
        Kind::MarkerMissing => {
            let result = client.watermark(&id, &original).await;
            client.save(&id, &result).await;
        }
        Kind::MarkerWrong => {
            let result = client.watermark(&id, &original).await;
            let other = client::record(b"other", b"another", 2);
            let length = other.rsplit_once(' ').unwrap().0;
            client.mark(&id, &format!("{length} {}", result.len())).await;
            client.save(&id, &result).await;
        }
        Kind::ForeignTextOverwritten => {
            let note = Edit { marker: Some("see ticket 4711".to_owned()), ..Edit::default() };
            client.sandbox.edit(&id, note).unwrap();
            client.mark(&id, &client::record(b"a", b"b", 7)).await;
        }
        Kind::OptOutIgnored => {
            let wish = Edit { marker: Some("opted-out; ".to_owned()), ..Edit::default() };
            client.sandbox.edit(&id, wish).unwrap();
            client.watermark(&id, &original).await;
        }
        Kind::MetadataChanged => client.modify(&id, "description", "mine").await,
        Kind::MadePublic => client.modify(&id, "isPublic", "true").await,
        Kind::OutsideDirectory => {
            client.submit(&id, &original, "elsewhere", true).await;
        }
        Kind::WithoutBynderId => {
            client.submit(&id, &original, "sandbox/bynder", false).await;
        }
        Kind::PersonVersionBuried => {
            let result = client.watermark(&id, &original).await;
            client.sandbox.new_version(&id, &NewVersion::default()).unwrap().unwrap();
            client.look(&id).await;
            client.mark(&id, &client::record(&original, &result, 3)).await;
            client.save(&id, &result).await;
        }
        Kind::CredentialLeaked => client.download(&id, true).await,
        Kind::RequestDuringBlock => {
            let limit = RateLimit { requests: 3, window: Duration::from_secs(5) };
            let client = world(Options { rate_limit: Some(limit), ..Options::default() }).await;
            for _ in 0..4 {
                client.look("none").await;
            }
            // The time without requests is what is judged: longer than the grace period for requests under way.
            tokio::time::sleep(Duration::from_millis(700)).await;
            client.look("none").await;
            return client;
        }
        Kind::TwoCopies | Kind::UnrestrictedCopy | Kind::CopyWatermarked | Kind::AdditionalTwice => {
            put_elsewhere(kind, &client, &id).await;
        }
        Kind::UnneededWork => {
            let client = world(Options { assets: 30, ..Options::default() }).await;
            let audit = client.sandbox.audit();
            let done =
                audit.assets.iter().find(|asset| asset.planted.outcome == "skipped_unchanged").unwrap();
            client.download(&done.id, false).await;
            return client;
        }
        Kind::ExtensionChanged => {
            let id = client.sandbox.add_asset(NewAsset::new("b.PNG", original.clone())).unwrap();
            let result = client.watermark(&id, &original).await;
            client.mark(&id, &client::record(&original, &result, 2)).await;
            client.look(&id).await;
            client.save_named(&id, "b.png", &result).await;
        }
        Kind::TypeChanged => {
            let result = client.watermark(&id, &original).await;
            client.mark(&id, &client::record(&original, &result, 2)).await;
            client.look(&id).await;
            client.save_named(&id, "Brand guide 2.0", &result).await;
        }
        Kind::UnsafeName => {
            let name = "a\"; name=\"directory.png";
            client.submit_named(name, &id, &original, "sandbox/bynder", true).await;
        }
        Kind::UsedUnchecked => use_unchecked(&client, &id).await,
    }
    client
}

/// Saves a file without having got the whole of it.
async fn use_unchecked(client: &Client, id: &str) {
    let original = picture();
    let result = client.watermark_but_its_end(id, &original).await;
    client.mark(id, &client::record(&original, &result, 2)).await;
    client.look(id).await;
    client.save(id, &result).await;
}

/// Commits a violation with a copy or an additional file.
async fn put_elsewhere(kind: ViolationKind, client: &Client, id: &str) {
    let original = picture();
    let restricted = Restricted { limited: kind == ViolationKind::UnrestrictedCopy, ..Restricted::default() };
    let limited = NewAsset { restricted, ..NewAsset::new("b.png", original.clone()) };
    let id = match kind {
        ViolationKind::UnrestrictedCopy => client.sandbox.add_asset(limited).unwrap(),
        _ => id.to_owned(),
    };
    let result = client.watermark(&id, &original).await;
    if kind == ViolationKind::AdditionalTwice {
        client.add(&id, &result).await;
        client.add(&id, &result).await;
        return;
    }
    let record = client::record(&original, &result, 1);
    let copy = client.copy(&id, &result, &record).await;
    if kind == ViolationKind::TwoCopies {
        client.copy(&id, &result, &record).await;
    }
    if kind == ViolationKind::CopyWatermarked {
        let other = sample_files::file(sample_files::Format::Png, 6, 40, 30);
        client.submit(&copy, &other, "sandbox/bynder", true).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_violation_is_seen_and_told_from_the_others() {
    for kind in ViolationKind::ALL {
        let client = commit(kind).await;
        let audit = client.sandbox.audit();
        let found: BTreeSet<_> = audit.violations.iter().map(|found| found.kind).collect();
        assert_eq!(found, BTreeSet::from([kind]), "{:#?}", audit.violations);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_client_leaves_nothing_to_see() {
    let (client, id) = with_asset().await;
    client.protect(&id, &picture()).await;
    let audit = client.sandbox.audit();
    assert!(audit.violations.is_empty(), "{:#?}", audit.violations);
    let asset = audit.assets.iter().find(|asset| asset.id == id).unwrap();
    assert!(asset.versions[1].watermarked && asset.versions[1].active);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_copy_and_a_right_additional_file_protect_their_original() {
    let (client, id) = with_asset().await;
    let original = picture();
    let result = client.watermark(&id, &original).await;
    let on_original = |marker: String| marker.replace(&result.len().to_string(), &original.len().to_string());
    let record = client::record(&original, &result, 1);
    client.copy(&id, &result, &format!("copy-of {id}; {record}")).await;
    client.mark(&id, &on_original(record.clone())).await;
    let other = client.sandbox.add_asset(NewAsset::new("b.png", original.clone())).unwrap();
    let added = client.watermark(&other, &original).await;
    client.add(&other, &added).await;
    client.mark(&other, &on_original(client::record(&original, &added, 1))).await;
    assert_eq!(kinds(&client), []);
    let audit = client.sandbox.audit();
    for asset in audit.assets.iter().filter(|asset| asset.copy_of.is_none()) {
        assert!(asset.protected && asset.made == 1, "{asset:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_nobody_could_have_seen_is_noted_as_the_documented_window() {
    let (client, id) = with_asset().await;
    let result = client.watermark(&id, &picture()).await;
    client.mark(&id, &client::record(&picture(), &result, 2)).await;
    client.look(&id).await;
    client.sandbox.new_version(&id, &NewVersion::default()).unwrap().unwrap();
    client.save(&id, &result).await;
    let audit = client.sandbox.audit();
    assert!(audit.violations.is_empty(), "{:#?}", audit.violations);
    assert_eq!(audit.notes.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_in_the_address_of_a_request_is_seen() {
    let client = world(Options::default()).await;
    client.look("none").await;
    assert!(client.sandbox.audit().violations.is_empty());
    let token = client.sandbox.announcement().token;
    client.look(&format!("none?token={token}")).await;
    let violations = client.sandbox.audit().violations;
    assert_eq!(
        violations.iter().map(|violation| violation.kind).collect::<Vec<_>>(),
        [ViolationKind::CredentialLeaked]
    );
    assert!(!violations[0].detail.contains(&token), "{violations:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_lasts_until_a_whole_window_is_silent() {
    let limit = RateLimit { requests: 2, window: Duration::from_secs(6) };
    let client = world(Options { rate_limit: Some(limit), ..Options::default() }).await;
    let statuses = [client.look("none").await, client.look("none").await, client.look("none").await];
    assert_eq!(statuses, [404, 404, 429]);
    // Sleeps, because the test is about the time without requests.
    tokio::time::sleep(Duration::from_millis(3500)).await;
    assert_eq!(client.look("none").await, 429);
    tokio::time::sleep(Duration::from_millis(3500)).await;
    assert_eq!(client.look("none").await, 429, "the request before made the block longer");
    tokio::time::sleep(Duration::from_millis(6500)).await;
    assert_eq!(client.look("none").await, 404);
}

/// A client that restores the original and writes a marker.
async fn with_original_put_back(opted_out: bool) -> (Client, String) {
    let (client, id) = with_asset().await;
    let result = client.protect(&id, &picture()).await;
    let record = client::record(&picture(), &result, 2);
    client.mark(&id, &if opted_out { format!("opted-out; {record}") } else { record }).await;
    client.look(&id).await;
    client.save(&id, &picture()).await;
    (client, id)
}

fn kinds(client: &Client) -> Vec<ViolationKind> {
    client.sandbox.audit().violations.iter().map(|found| found.kind).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_original_comes_back_only_where_it_is_opted_out_and_once() {
    let (client, id) = with_original_put_back(true).await;
    assert_eq!(kinds(&client), []);
    client.save(&id, &picture()).await;
    assert_eq!(kinds(&client), [ViolationKind::DoneTwice]);
    let (client, _) = with_original_put_back(false).await;
    assert_eq!(kinds(&client), [ViolationKind::NotWatermarked]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_original_comes_back_over_no_persons_version_and_to_no_other_asset() {
    let (client, id) = with_asset().await;
    let result = client.protect(&id, &picture()).await;
    client.mark(&id, &format!("opted-out; {}", client::record(&picture(), &result, 2))).await;
    client.sandbox.new_version(&id, &NewVersion::default()).unwrap().unwrap();
    client.look(&id).await;
    client.save(&id, &picture()).await;
    assert_eq!(kinds(&client), [ViolationKind::PersonVersionBuried]);

    let (client, _) = with_original_put_back(true).await;
    let other = client.sandbox.add_asset(NewAsset::new("b.png", b"another".to_vec())).unwrap();
    client.mark(&other, "opted-out; ").await;
    client.save(&other, &picture()).await;
    assert_eq!(kinds(&client), [ViolationKind::OptOutIgnored, ViolationKind::NotWatermarked]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_opt_out_is_taken_back_only_by_who_made_it() {
    let (client, id) = with_asset().await;
    client.mark(&id, "opted-out; ").await;
    client.mark(&id, "").await;
    assert_eq!(kinds(&client), []);
    let wish = Edit { marker: Some("opted-out; ".to_owned()), ..Edit::default() };
    client.sandbox.edit(&id, wish).unwrap();
    // Writing the opt-out again does not make it the client's own.
    client.mark(&id, "opted-out; ").await;
    client.mark(&id, "").await;
    assert_eq!(kinds(&client), [ViolationKind::OptOutIgnored]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_writes_a_malformed_marker_is_seen() {
    let (client, id) = with_asset().await;
    let right = client::record(b"a", b"b", 7);
    client.mark(&id, &right.replace(" v7", " 7")).await;
    assert_eq!(kinds(&client), [ViolationKind::MarkerWrong]);
    let note = Edit { marker: Some("see ticket 4711".to_owned()), ..Edit::default() };
    client.sandbox.edit(&id, note).unwrap();
    client.mark(&id, "see ticket 4711").await;
    assert_eq!(kinds(&client).len(), 1, "it changes nothing");
}
