//! The `worker` program with the crash points and guard switches that only tests have.

fn main() -> std::process::ExitCode {
    worker::main()
}
