//! Models: their cards, where they are found, and the sessions that run them.

pub mod bundle;
mod card;
mod choose;
mod compile;
mod constant;
mod extra;
mod fast;
mod guarded;
pub mod header;
mod outputs;
mod plan;
mod probe;
pub mod selfcheck;
mod session;
mod store;
pub mod zoo;

pub use card::{Card, CardFields, Dtype, Golden, InputForm, InputSpec, ModelSpec, Precision};
pub use compile::Block;
pub use extra::Extra;
pub use outputs::{Arrays, Outputs, Run};
pub use plan::Plan;
pub use probe::{ProbeInput, Probed, probe, probe_with};
pub use session::{Output, Session};
pub use store::ModelStore;
