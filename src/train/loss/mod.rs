//! Losses: how wrong an answer is, and which way it should go.
//!
//! Each returns the value and its gradient for what it was given. Sums are in 64 bits, in order.

mod boxes;
mod classes;
mod dice;
mod focal;
mod regression;
pub mod simota;
mod ssd;

pub use boxes::{BoxLoss, box_iou};
pub use classes::{CrossEntropy, binary};
pub use dice::{binary as binary_dice, classes as class_dice};
pub use focal::focal;
pub use regression::{Distance, regression};
pub use ssd::{Multibox, MultiboxLoss};
