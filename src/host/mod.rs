//! What the machine gives: time, the wish to stop, and the counters.

mod clock;
mod metrics;
mod stop;

pub use clock::{Clock, ManualClock, SystemClock};
pub use metrics::{DropReason, LineMetrics, Metrics};
pub use stop::Stop;
