//! Models: their cards, where they are found, and the sessions that run them.

pub mod bundle;
mod card;
mod constant;
mod fast;
pub mod header;
mod outputs;
mod plan;
mod probe;
pub mod selfcheck;
mod session;
mod store;
pub mod zoo;

pub use card::{Card, CardFields, Dtype, Golden, InputForm, InputSpec, ModelSpec, Precision};
pub use outputs::{Arrays, Outputs, Run};
pub use plan::{Extra, Plan};
pub use probe::{ProbeInput, Probed, probe};
pub use session::{Output, Session};
pub use store::ModelStore;
