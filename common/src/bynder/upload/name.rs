//! Names that Bynder's upload accepts.

/// The longest name that storage keys leave room for, in characters.
const LONGEST: usize = 150;

/// A base name with an extension, without what an upload refuses: path separators, a leading dot, control
/// characters. The name people see travels separately, as `original_filename`.
pub(super) fn upload_name(name: &str) -> String {
    let cleaned: String =
        name.chars().map(|c| if c.is_control() || matches!(c, '/' | '\\') { '_' } else { c }).collect();
    let cleaned = cleaned.trim().trim_start_matches('.');
    let (stem, extension) = match cleaned.rsplit_once('.') {
        Some((stem, extension)) if !extension.is_empty() && !stem.is_empty() => (stem, extension),
        _ => (cleaned.trim_end_matches('.'), "bin"),
    };
    let stem: String = stem.chars().take(LONGEST).collect();
    let extension: String = extension.chars().take(10).collect();
    if stem.is_empty() { format!("file.{extension}") } else { format!("{stem}.{extension}") }
}

#[cfg(test)]
mod tests {
    use super::upload_name;

    #[test]
    fn awkward_names_become_acceptable_ones() {
        let table = [
            ("lake.jpg", "lake.jpg"),
            ("été “2024”.tif", "été “2024”.tif"),
            ("a/b\\c.png", "a_b_c.png"),
            (".hidden.png", "hidden.png"),
            ("no extension", "no extension.bin"),
            ("dot.", "dot.bin"),
            ("", "file.bin"),
            ("...", "file.bin"),
            ("line\nbreak.jpg", "line_break.jpg"),
        ];
        for (given, wanted) in table {
            assert_eq!(upload_name(given), wanted, "{given:?}");
        }
    }

    #[test]
    fn a_long_name_keeps_its_extension() {
        let name = upload_name(&format!("{}.jpeg", "ä".repeat(500)));
        assert!(name.split('.').next_back() == Some("jpeg") && name.chars().count() <= 161);
    }
}
