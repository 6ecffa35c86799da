//! What the machine gives: time, the wish to stop, the counters, and what must not be shown.

mod allocations;
mod clock;
mod cpu;
mod health;
mod metrics;
mod secrets;
mod stop;

pub use allocations::{CountingAllocator, thread_allocations};
pub use clock::{Clock, ManualClock, SystemClock, WallWatch};
pub use cpu::cpu_class;
pub use health::{Health, State};
pub use metrics::{DropReason, LineMetrics, Metrics};
pub use secrets::{Secrets, redact_addresses};
pub use stop::Stop;
