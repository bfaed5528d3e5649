//! A standalone reader, for the tests of this crate.

fn main() -> std::process::ExitCode {
    media::reader::run_if_asked().unwrap_or(std::process::ExitCode::FAILURE)
}
