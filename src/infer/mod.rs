//! Models: their cards, where they are found, and the sessions that run them.

mod card;
mod session;
mod store;

pub use card::{Card, Dtype, InputSpec, ModelSpec};
pub use session::{Output, Session};
pub use store::ModelStore;
