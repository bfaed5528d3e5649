//! What Bynder makes of a file's name: an asset's extension and kind follow from it, never from the bytes.

/// The extension in a file's name, as the portal shows it.
pub(crate) fn extension_of(name: &str) -> String {
    written_extension(name).to_lowercase()
}

/// The extension as the name spells it.
pub(crate) fn written_extension(name: &str) -> &str {
    name.rsplit_once('.').map(|(_, extension)| extension).unwrap_or_default()
}

/// Bynder's kind for a file of this name. What it does not know is a document.
pub(crate) fn kind_of(name: &str) -> &'static str {
    match extension_of(name).as_str() {
        "jpg" | "jpeg" | "jpe" | "jfif" | "png" | "tif" | "tiff" | "gif" | "webp" | "bmp" | "heic"
        | "avif" | "psd" | "svg" => "image",
        "mp4" | "m4v" | "mov" | "avi" | "mkv" | "webm" | "mpg" | "mpeg" => "video",
        "wav" | "mp3" | "flac" | "aac" | "m4a" => "audio",
        _ => "document",
    }
}
