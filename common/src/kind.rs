//! The table of file kinds that the connector distinguishes by content.

#[derive(Debug, PartialEq, Eq)]
pub struct Kind {
    /// As registered with IANA, if it is.
    pub media_type: &'static str,
    /// The usual extension first.
    pub extensions: &'static [&'static str],
}

const fn kind(media_type: &'static str, extensions: &'static [&'static str]) -> Kind {
    Kind { media_type, extensions }
}

pub const KINDS: [Kind; 52] = [
    kind("image/jpeg", &["jpg", "jpeg", "jpe", "jfif"]),
    kind("image/png", &["png", "apng"]),
    kind("image/tiff", &["tif", "tiff"]),
    kind("image/webp", &["webp"]),
    kind("image/gif", &["gif"]),
    kind("image/bmp", &["bmp", "dib"]),
    kind("image/heic", &["heic"]),
    kind("image/heif", &["heif", "hif"]),
    kind("image/avif", &["avif"]),
    kind("image/jxl", &["jxl"]),
    kind("image/jp2", &["jp2"]),
    kind("image/j2c", &["j2c", "j2k"]),
    kind("image/svg+xml", &["svg"]),
    kind("image/vnd.adobe.photoshop", &["psd", "psb"]),
    kind("image/vnd.ms-photo", &["jxr"]),
    kind("image/x-canon-cr2", &["cr2"]),
    kind("image/x-canon-cr3", &["cr3"]),
    kind("image/x-adobe-dng", &["dng"]),
    kind("image/x-fuji-raf", &["raf"]),
    kind("image/x-olympus-orf", &["orf"]),
    kind("image/x-panasonic-rw2", &["rw2"]),
    kind("image/x-nikon-nef", &["nef"]),
    kind("image/x-sony-arw", &["arw"]),
    kind("image/x-pentax-pef", &["pef"]),
    kind("image/x-samsung-srw", &["srw"]),
    kind("image/x-hasselblad-3fr", &["3fr"]),
    kind("audio/mp4", &["m4a", "m4b"]),
    kind("video/mp4", &["mp4", "f4v"]),
    kind("video/3gpp", &["3gp"]),
    kind("video/3gpp2", &["3g2"]),
    kind("video/x-m4v", &["m4v"]),
    kind("video/quicktime", &["mov", "qt"]),
    kind("video/webm", &["webm"]),
    kind("video/x-matroska", &["mkv"]),
    kind("video/x-msvideo", &["avi"]),
    kind("video/x-ms-wmv", &["wmv"]),
    kind("video/mpeg", &["mpg", "mpeg"]),
    kind("application/pdf", &["pdf"]),
    kind("application/postscript", &["ps", "eps", "ai"]),
    kind("application/zip", &["zip"]),
    kind("application/msword", &["doc"]),
    kind("application/vnd.ms-excel", &["xls"]),
    kind("application/vnd.ms-powerpoint", &["ppt"]),
    kind("application/vnd.openxmlformats-officedocument.wordprocessingml.document", &["docx"]),
    kind("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", &["xlsx"]),
    kind("application/vnd.openxmlformats-officedocument.presentationml.presentation", &["pptx"]),
    kind("audio/mpeg", &["mp3"]),
    kind("audio/x-wav", &["wav"]),
    kind("audio/x-flac", &["flac"]),
    kind("audio/ogg", &["ogg", "oga"]),
    kind("audio/aac", &["aac"]),
    kind("audio/x-aiff", &["aif", "aiff"]),
];

/// Extensions that are also used for another type than the one that lists them.
const ALSO: [(&str, &str); 4] =
    [("ai", "application/pdf"), ("m4v", "video/mp4"), ("heif", "image/heic"), ("hif", "image/heic")];

impl Kind {
    pub fn of_media_type(media_type: &str) -> Option<&'static Self> {
        KINDS.iter().find(|kind| kind.media_type == media_type)
    }

    /// The kind that files with this extension usually are.
    pub fn of_extension(extension: &str) -> Option<&'static Self> {
        KINDS.iter().find(|kind| kind.extensions.iter().any(|known| known.eq_ignore_ascii_case(extension)))
    }

    /// The media types of files with this extension, the usual one first; empty if the extension is unknown.
    pub fn types_of_extension(extension: &str) -> impl Iterator<Item = &'static str> {
        let also = ALSO.iter().filter(move |(known, _)| known.eq_ignore_ascii_case(extension));
        let usual = Self::of_extension(extension).map(|kind| kind.media_type);
        usual.into_iter().chain(also.map(|(_, media_type)| *media_type))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_media_type_and_each_extension_stands_in_the_table_once() {
        for kind in &KINDS {
            assert_eq!(Kind::of_media_type(kind.media_type), Some(kind));
            for extension in kind.extensions {
                assert_eq!(Kind::of_extension(&extension.to_uppercase()), Some(kind), "{extension}");
            }
        }
    }

    #[test]
    fn an_extension_with_another_type_has_a_usual_one_and_both_are_in_the_table() {
        for (extension, media_type) in ALSO {
            let types: Vec<_> = Kind::types_of_extension(extension).collect();
            assert!(types.len() == 2 && types[1] == media_type, "{extension}: {types:?}");
            assert!(Kind::of_media_type(media_type).is_some(), "{media_type}");
        }
    }
}
