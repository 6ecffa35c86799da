//! Services of the host: time, stop requests, child processes, counters, and secrets.

mod allocations;
mod backoff;
mod board;
mod bytes;
mod child;
mod clock;
mod counters;
mod cpu;
mod files;
mod folders;
mod health;
mod histogram;
mod limiter;
mod panics;
mod secrets;
mod stop;

pub use allocations::{CountingAllocator, thread_allocations};
pub use backoff::Backoff;
pub use board::Board;
pub use bytes::parse_bytes;
pub use child::{Child, Stderr};
pub use clock::{Clock, ManualClock, SystemClock, WallWatch};
pub use counters::{DropReason, EdgeCounters, LineCounters, Role};
pub use cpu::cpu_class;
pub use files::{make_parent, replace};
pub use folders::data_folder;
pub use health::{Health, State, Status};
pub use histogram::Histogram;
pub use limiter::Limiter;
pub use panics::{catch, quiet_caught_panics};
pub use secrets::{Secrets, redact_addresses};
pub use stop::Stop;
