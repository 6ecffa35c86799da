//! The `ocelli` program: see `ocelli --help`.

#[global_allocator]
static ALLOCATOR: ocelli::host::CountingAllocator = ocelli::host::CountingAllocator;

fn main() -> std::process::ExitCode {
    ocelli::cli::main()
}
