//! A reader as a program of its own, for the tests of this crate.

fn main() -> std::process::ExitCode {
    media::reader::run_if_asked().unwrap_or(std::process::ExitCode::FAILURE)
}
