//! Seeds, from the sandbox's generators and the encoders of other crates.

mod files;
mod messages;
mod wire;

/// The seeds of a law, by its name.
pub(crate) fn of(target: &str) -> Vec<Vec<u8>> {
    match target {
        "jpeg" => files::jpegs(),
        "png" => files::pngs(),
        "gif" => files::gifs(),
        "tiff" => files::tiffs(),
        "webp" => files::webps(),
        "film" => files::films(),
        "pdf" => files::pdfs(),
        "metadata" => files::metadata(),
        "any" => files::of_each_kind(),
        "compare" => files::pairs(),
        "job" => messages::jobs(),
        "event" => messages::events(),
        "row" => wire::rows(),
        "marker" => wire::markers(),
        "bynder" => wire::of_bynder(),
        "imatag" => wire::of_imatag(),
        other => panic!("no law is named {other}"),
    }
}
