//! The `ocelli` program: see `ocelli --help`.

fn main() -> std::process::ExitCode {
    ocelli::cli::main()
}
