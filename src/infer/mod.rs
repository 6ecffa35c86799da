//! Models: their cards, where they are found, and the sessions that run them.

pub mod bundle;
mod card;
pub mod header;
mod outputs;
mod plan;
pub mod selfcheck;
mod session;
mod store;
pub mod zoo;

pub use card::{Card, CardFields, Dtype, Golden, InputForm, InputSpec, ModelSpec, Precision};
pub use outputs::{Arrays, Outputs, Run};
pub use plan::{Extra, Plan, output_shapes};
pub use session::{Output, Session};
pub use store::ModelStore;
