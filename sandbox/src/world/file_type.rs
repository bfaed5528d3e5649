//! How Bynder derives an asset's extension and type: from the file name, never from the bytes.

/// The extension as the portal shows it: in lower case.
pub(crate) fn extension_of(name: &str) -> String {
    written_extension(name).to_lowercase()
}

/// The extension as spelt in the name.
pub(crate) fn written_extension(name: &str) -> &str {
    name.rsplit_once('.').map(|(_, extension)| extension).unwrap_or_default()
}

/// Bynder's asset type for a file name; unknown extensions are documents.
pub(crate) fn kind_of(name: &str) -> &'static str {
    match extension_of(name).as_str() {
        "jpg" | "jpeg" | "jpe" | "jfif" | "png" | "tif" | "tiff" | "gif" | "webp" | "bmp" | "heic"
        | "avif" | "psd" | "svg" => "image",
        "mp4" | "m4v" | "mov" | "avi" | "mkv" | "webm" | "mpg" | "mpeg" => "video",
        "wav" | "mp3" | "flac" | "aac" | "m4a" => "audio",
        _ => "document",
    }
}
