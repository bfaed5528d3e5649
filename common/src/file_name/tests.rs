use super::*;

fn named(
    own: Option<&str>,
    extension: Option<&str>,
    media_type: Option<&str>,
    asset_name: &str,
) -> Option<String> {
    FileName::of(Known { own, extension, media_type, asset_name }).map(|name| name.to_string())
}

#[test]
fn the_assets_name_never_decides_about_the_extension() {
    let names = [
        "Brand guide 2.0",
        "Acme Inc",
        "Fig. 3",
        "logo.final.v3",
        "Mr. X",
        "holiday.jpg",
        "été",
        "日本の風景",
        "a.b.c",
    ];
    for name in names {
        assert_eq!(named(None, Some("png"), Some("image/jpeg"), name), Some(format!("{name}.png")));
        assert_eq!(named(None, None, Some("image/png"), name), Some(format!("{name}.png")));
        assert_eq!(named(None, None, None, name), None, "{name}");
    }
}

#[test]
fn a_files_own_name_keeps_its_extension_to_the_letter() {
    for name in
        ["a.jpeg", "a.jpe", "a.JPG", "a.tiff", "a.b.Tif", "x.mp4", "x.7z", "wrong.gif", "no letter.3fr"]
    {
        assert_eq!(named(Some(name), None, Some("image/png"), "other.bmp").as_deref(), Some(name));
    }
    for (name, shown) in [("a.jpeg", "jpg"), ("a.JPG", "jpg"), ("a.jpe", "jpeg"), ("a.TIFF", "tif")] {
        assert_eq!(named(Some(name), Some(shown), None, "").as_deref(), Some(name));
    }
}

#[test]
fn what_the_portal_shows_wins_over_the_end_of_a_name_that_is_no_extension() {
    for name in ["Brand guide 2.0", "Acme Inc.", "Fig. 3", "logo.final.v3", "Mr. X", "plain"] {
        let stem = name.trim_end_matches('.');
        assert_eq!(named(Some(name), Some("png"), None, "").unwrap(), format!("{stem}.png"));
    }
}

#[test]
fn an_unknown_type_gives_no_name() {
    assert_eq!(named(Some("plain"), None, Some("application/x-unheard-of"), "holiday.jpg"), None);
    assert_eq!(named(Some("Brand guide 2.0"), None, None, ""), None);
    assert_eq!(named(None, Some("not an extension"), None, "x.jpg"), None);
}

#[test]
fn awkward_names_become_acceptable_to_the_upload() {
    let table = [
        ("été “2024”.tif", "été “2024”.tif"),
        ("a/b\\c.png", "a_b_c.png"),
        (".hidden.png", "hidden.png"),
        (".png", "file.png"),
        ("...png", "file.png"),
        ("line\nbreak.jpg", "line_break.jpg"),
        ("a\"; name=\"directory.png", "a_; name=_directory.png"),
        ("a\r\n\u{85}\u{2028}\u{202e}b.png", "a_____b.png"),
        ("a\u{200e}\u{200b}\u{feff}\u{ad}b\u{200d}.png", "a____b\u{200d}.png"),
        // They mean the same as the ASCII characters after Unicode's compatibility normalisation.
        ("．．／a＼b＂c∕d⁄e.png", "_a_b_c_d_e.png"),
        ("a．．b.png", "a..b.png"),
        ("…／‥／a․．b.png", "_‥_a..b.png"),
        ("a\u{2800}b\u{1d159}c.png", "abc.png"),
        // Emoji are the same without the mark that they are to be in colour.
        (
            "a\u{206a}\u{fffa}\u{1d17a}\u{17b4}\u{180b}\u{e0100}\u{3164}b ❤\u{fe0f} 👨\u{200d}👩.png",
            "ab ❤ 👨\u{200d}👩.png",
        ),
    ];
    for (given, wanted) in table {
        let name = FileName::of(Known { own: Some(given), ..Known::default() }).unwrap();
        assert_eq!(name.for_upload(), wanted, "{given:?}");
        assert_eq!(for_header("a\u{e0100}b"), "ab");
    }
}

#[test]
fn a_long_name_is_shortened_before_its_extension_and_its_suffix() {
    let own = format!("{}.jpeg", "ä".repeat(500));
    let name = FileName::of(Known { own: Some(&own), ..Known::default() }).unwrap();
    let upload = name.for_upload();
    assert!(upload.ends_with("ä.jpeg") && upload.chars().count() <= 155);
    assert!(name.with_suffix("0123456789ab").for_upload().ends_with("ä-0123456789ab.jpeg"));
}

#[test]
fn a_name_is_bounded_and_on_one_line_wherever_it_is_written() {
    let own = format!("{}\n\u{202e}b.jpeg", "ä".repeat(9000));
    let name = FileName::of(Known { own: Some(&own), ..Known::default() }).unwrap().to_string();
    assert_eq!((name.chars().count(), name.ends_with("ä.jpeg")), (LONGEST + 5, true));
    let name = FileName::of(Known { own: Some("a\n\u{202e}b/c.png"), ..Known::default() }).unwrap();
    assert_eq!(name.to_string(), "a__b/c.png");
}
