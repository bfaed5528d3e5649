//! The `connector` program; everything is in the library.

fn main() -> std::process::ExitCode {
    connector::main()
}
