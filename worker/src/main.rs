//! The `worker` program; everything is in the library.

fn main() -> std::process::ExitCode {
    worker::main()
}
