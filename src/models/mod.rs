//! Model families: how tensors become answers. The card names the family.

pub mod boxes;
mod checks;
pub mod classifier;
mod declared;
mod detector;
mod family;
pub mod fastestdet;
pub mod nanodet;
mod numbers;
pub mod propose;
pub mod reconstruction;
mod schema;
pub mod segmentation;
pub mod ssd;
pub mod yolo;
pub mod yunet;

pub use declared::check;
pub use detector::{Detector, Seen};
pub use family::{Family, classifier, detector, family, reconstruction, segmentation};
pub use schema::schema;
