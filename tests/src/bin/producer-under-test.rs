//! The `producer` program with the crash points and guard switches that only tests have.

fn main() -> std::process::ExitCode {
    producer::main()
}
