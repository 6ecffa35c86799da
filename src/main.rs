//! The `ocelli` program: see `ocelli --help`.

use ocelli::internals::{cli, host};

#[global_allocator]
static ALLOCATOR: host::CountingAllocator = host::CountingAllocator;

fn main() -> std::process::ExitCode {
    cli::main()
}
