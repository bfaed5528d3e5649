//! Names of files: every asset keeps its type and its extension, whatever it is called.

use common::outcome::{FailureClass, Outcome};
use sample_files::{Format, file};
use sandbox::{FileNames, NewAsset, Options, ViolationKind};

use crate::harness::{Bench, MODES, assert_clean, quick};

/// Names that people give to assets. None decides what the asset's file is.
const ASSET_NAMES: [&str; 24] = [
    "Brand guide 2.0",
    "Acme Inc.",
    "Fig. 3",
    "logo.final.v3",
    "Mr. X",
    "no extension",
    "photo.jpeg",
    "a film.mp4",
    "report.pdf",
    "archive.tar.gz",
    ".hidden",
    "...",
    "  spaces  ",
    "Été à la plage",
    "日本の風景.第二版",
    "Пейзаж. Весна",
    "منظر.طبيعي",
    "נוף 1.1",
    "100% new & <b>bold</b>",
    "path/with\\slashes.x",
    "quote\"s.y",
    "semi;colon=1.z",
    "No. 5",
    "v1.2.3-rc.1",
];

/// File names by their extension, to the letter; a wrong one is kept as well.
const FILE_NAMES: [(&str, Format); 13] = [
    ("IMG_0001.jpg", Format::Jpeg),
    ("photo.jpeg", Format::Jpeg),
    ("photo.jpe", Format::Jpeg),
    ("SCAN.JPG", Format::Jpeg),
    ("Scan.Tiff", Format::Tiff),
    ("print.tif", Format::Tiff),
    ("logo.final.png", Format::Png),
    ("a JPEG called.png", Format::Jpeg),
    ("風景.png", Format::Png),
    ("plakát 2.0.PNG", Format::Png),
    ("clip.mp4", Format::Mp4),
    ("clip.M4V", Format::Mp4),
    ("brochure.pdf", Format::Pdf),
];

fn library(bench: &Bench) {
    let count = ASSET_NAMES.len() * 2;
    for number in 0..count {
        let (file_name, format) = FILE_NAMES[number % FILE_NAMES.len()];
        let bytes = file(format, number as u64, 64, 48);
        let asset = NewAsset::new(ASSET_NAMES[number % ASSET_NAMES.len()], bytes);
        bench.sandbox.add_asset(NewAsset { file_name: file_name.to_owned(), ..asset }).unwrap();
    }
}

async fn keeps_types_and_extensions(mode: &str, file_names: FileNames) {
    let bench = Bench::new(Options { file_names, ..quick() }).await;
    bench.set_mode(mode);
    library(&bench);
    bench.sync().await.assert_code(0);
    // The sandbox holds the name of each file that is saved against that of the file it was made from.
    let audit = bench.sandbox.audit();
    assert_clean(&audit);
    let originals = audit.assets.iter().filter(|asset| asset.copy_of.is_none());
    let protected: usize = originals.map(|asset| asset.made).sum();
    assert_eq!(protected, ASSET_NAMES.len() * 2, "{mode} {file_names:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn types_and_extensions_are_kept_in_every_mode() {
    for mode in MODES {
        keeps_types_and_extensions(mode, FileNames::Listed).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn types_and_extensions_are_kept_by_the_names_that_come_with_downloads() {
    for mode in MODES {
        keeps_types_and_extensions(mode, FileNames::WithDownload).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn types_and_extensions_are_kept_where_no_file_name_is_shown() {
    for mode in MODES {
        keeps_types_and_extensions(mode, FileNames::Hidden).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_whose_extension_cannot_be_known_is_not_uploaded() {
    let bench = Bench::new(quick()).await;
    let asset = NewAsset::new("Brand guide 2.0", b"bytes of no type that anybody knows".to_vec());
    let id = bench.sandbox.add_asset(NewAsset { file_name: "Brand guide 2.".to_owned(), ..asset }).unwrap();
    bench.sync().await.assert_code(6);
    let Some(Outcome::Failed(failure)) = bench.outcome(&id).await else { panic!("it did not fail") };
    assert_eq!(failure.class, FailureClass::Unsupported);
    assert!(failure.reason.contains("Brand guide 2.0") && failure.reason.contains(&id), "{}", failure.reason);
    let asset = bench.asset(&id);
    assert_eq!((asset.media, asset.made), (0, 0));
    assert_clean(&bench.sandbox.audit());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_original_keeps_its_type_and_extension() {
    for file_names in [FileNames::Listed, FileNames::WithDownload, FileNames::Hidden] {
        let bench = Bench::new(Options { file_names, ..quick() }).await;
        library(&bench);
        bench.sync().await.assert_code(0);
        bench.until_settled().await;
        let assets = bench.sandbox.audit().assets;
        let ids = assets.into_iter().map(|asset| asset.id).collect::<Vec<_>>().join(",");
        bench.run(&["restore", "--ids", &ids, "--yes"]).await.assert_code(0);
        assert_clean(&bench.sandbox.audit());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_file_name_ends_its_header_or_leaves_its_folder() {
    let bench = Bench::new(Options { file_names: FileNames::Listed, ..quick() }).await;
    let long = format!("{}.png", "ä".repeat(400));
    for (seed, name) in
        ["a\"; name=\"directory.png", "../a\\b.png", "a\nX: \u{2028}\u{202e}b.png", &long].iter().enumerate()
    {
        let asset = NewAsset::new(name, file(Format::Png, seed as u64, 64, 48));
        bench.sandbox.add_asset(NewAsset { file_name: (*name).to_owned(), ..asset }).unwrap();
    }
    bench.sync().await.assert_code(0);
    assert_clean(&bench.sandbox.audit());
    let path = bench.path("a\nX: b\"; name=\"directory.png");
    std::fs::write(&path, file(Format::Png, 9, 64, 48)).unwrap();
    bench.set_request_timeout(15);
    bench.run(&["trial", &path.display().to_string(), "--yes"]).await.assert_code(0);
    // A trial's asset is not one of the library.
    let violations = bench.sandbox.audit().violations;
    assert!(violations.iter().all(|found| found.kind == ViolationKind::WithoutBynderId), "{violations:#?}");
}
