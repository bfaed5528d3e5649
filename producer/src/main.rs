//! The `producer` program; everything is in the library.

fn main() -> std::process::ExitCode {
    producer::main()
}
