//! Bare hashes that another connector left, as `docs/migrating.md` describes.

use common::outcome::Outcome;
use sandbox::{Edit, NewVersion};

use crate::harness::{Bench, assert_clean, is_protected, picture, until};

/// One asset with a watermarked version, whose marker is what another connector would have left.
async fn inherited(bare_hash_of: usize) -> (Bench, String) {
    let (bench, id) = Bench::with_asset(picture("one.jpg", 1)).await;
    bench.sync().await.assert_code(0);
    let hash = bench.asset(&id).versions[bare_hash_of].sha256.clone();
    bench.sandbox.edit(&id, Edit { marker: Some(hash.to_uppercase()), ..Edit::default() }).unwrap();
    std::fs::remove_dir_all(bench.path("state")).unwrap();
    (bench, id)
}

async fn outcome_once_listed(bench: &Bench, id: &str) -> Option<Outcome> {
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
    // A listing that lags may still show the version before, whose job ends as superseded.
    let is_early = |outcome| matches!(outcome, None | Some(Outcome::Superseded { .. }));
    while is_early(bench.outcome(id).await) && tokio::time::Instant::now() < deadline {
        bench.sync().await.assert_code(0);
    }
    bench.outcome(id).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bare_hash_of_the_watermarked_file_becomes_a_record_and_nothing_is_paid_for() {
    let (bench, id) = inherited(1).await;
    bench.configure("[marker]\nlegacy = 'protected'\n");
    bench.set_request_timeout(15);
    let calls = || {
        let requests = bench.sandbox.stats().requests;
        ["bynder.download", "bynder.asset", "bynder.modify"]
            .map(|name| requests.get(name).copied().unwrap_or_default())
    };
    let before = calls();
    assert_eq!(outcome_once_listed(&bench, &id).await, Some(Outcome::AlreadyProtected));
    // The file's address, a check, and the record.
    assert_eq!(calls(), before.map(|count| count + 1));
    // The portal takes a moment over what it has answered.
    until(|| bench.asset(&id).marker.is_some_and(|marker| marker.contains(" v2 "))).await;
    let asset = bench.asset(&id);
    assert_eq!((asset.media, asset.versions.len(), is_protected(&asset)), (1, 2, true), "{asset:#?}");
    assert_clean(&bench.sandbox.audit());
    assert_eq!(bench.sync().await.summary()["selected"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watermarked_file_under_the_hash_of_its_original_is_recognised_by_imatag() {
    let (bench, id) = inherited(0).await;
    assert_eq!(outcome_once_listed(&bench, &id).await, Some(Outcome::AlreadyProtected));
    assert_eq!((bench.asset(&id).media, bench.asset(&id).versions.len()), (1, 2));
    assert_clean(&bench.sandbox.audit());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bare_hash_of_an_unprotected_file_keeps_nothing_from_being_protected() {
    for change_it in [false, true] {
        let (bench, id) = Bench::with_asset(picture("one.jpg", 1)).await;
        if change_it {
            // With `protected`, a file that changed since is protected all the same.
            bench.configure("[marker]\nlegacy = 'protected'\n");
        }
        let hash = bench.asset(&id).versions[0].sha256.clone();
        bench.sandbox.edit(&id, Edit { marker: Some(hash), ..Edit::default() }).unwrap();
        if change_it {
            bench.sandbox.new_version(&id, &NewVersion::default()).unwrap().unwrap();
        }
        let outcome = outcome_once_listed(&bench, &id).await;
        assert!(matches!(outcome, Some(Outcome::Watermarked { .. })), "{outcome:?}");
        until(|| is_protected(&bench.asset(&id))).await;
        assert_clean(&bench.sandbox.audit());
    }
}
