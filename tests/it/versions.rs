//! Which version is the active one: known, or the asset is left alone.

use common::outcome::{FailureClass, Outcome};
use sandbox::{NewVersion, Options, VersionFlags};

use crate::harness::{Bench, assert_clean, is_protected, picture, quick};

/// A library with one asset of three versions, the last one active.
async fn three_versions(options: Options) -> (Bench, String) {
    let bench = Bench::new(options).await;
    bench.set_request_timeout(15);
    let id = bench.sandbox.add_asset(picture("one.jpg", 1)).unwrap();
    for seed in [2, 3] {
        let upload = NewVersion { seed: Some(seed), ..NewVersion::default() };
        bench.sandbox.new_version(&id, &upload).unwrap().unwrap();
    }
    bench.until_listed().await;
    (bench, id)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_asset_of_three_versions_is_protected_from_the_third_however_the_portal_flags_them() {
    for version_flags in [VersionFlags::Active, VersionFlags::Missing, VersionFlags::All] {
        for names_active_version in [true, false] {
            let (bench, id) =
                three_versions(Options { version_flags, names_active_version, ..quick() }).await;
            let ran = bench.sync().await;
            assert_eq!(bench.outcome(&id).await, Some(Outcome::Watermarked { version: 4 }), "{ran:#?}");
            let asset = bench.asset(&id);
            assert_eq!((asset.media, is_protected(&asset)), (1, true), "{version_flags:?}");
            assert_clean(&bench.sandbox.audit());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nothing_says_which_version_is_active_the_job_fails_by_name_and_pays_for_nothing() {
    for mode in ["version", "copy", "additional"] {
        let options =
            Options { version_flags: VersionFlags::Missing, names_active_version: false, ..quick() };
        let (bench, id) = three_versions(options).await;
        bench.set_mode(mode);
        bench.set_request_timeout(15);
        let restore = NewVersion { restore: Some(1), ..NewVersion::default() };
        bench.sandbox.new_version(&id, &restore).unwrap().unwrap();
        bench.until_listed().await;
        bench.sync().await.assert_code(6);
        let outcome = bench.outcome(&id).await;
        let Some(Outcome::Failed(failure)) = &outcome else { panic!("{mode}: {outcome:?}") };
        assert_eq!(failure.class, FailureClass::Refused, "{mode}");
        assert!(failure.reason.contains(&id) && failure.reason.contains("the active one"), "{failure:?}");
        let asset = bench.asset(&id);
        assert_eq!((asset.made, asset.versions.len()), (0, 3), "{mode}");
        assert_eq!(bench.sandbox.stats().requests.get("imatag.submit"), None, "{mode}");
        assert_clean(&bench.sandbox.audit());
        let doctor = bench.run(&["doctor"]).await;
        assert!(doctor.assert_code(3).out.contains("FAIL  Bynder versions"), "{doctor:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_says_how_the_active_version_is_known() {
    for (version_flags, names_active_version, code, line) in [
        (VersionFlags::Active, true, 0, "PASS  Bynder versions"),
        (VersionFlags::Missing, true, 0, "WARN  Bynder versions: 0 versions of"),
        (VersionFlags::All, true, 0, "WARN  Bynder versions: 3 versions of"),
    ] {
        let (bench, _) = three_versions(Options { version_flags, names_active_version, ..quick() }).await;
        let doctor = bench.run(&["doctor"]).await;
        assert!(doctor.assert_code(code).out.contains(line), "{version_flags:?} {doctor:#?}");
    }
}
