//! Training on the host: new heads on a model's frozen layers, or all of its layers.
//!
//! [`engine`] computes a graph and its gradients; [`loss`] says how wrong its answers are; [`optimizer`] and [`schedule`]
//! change the weights.

pub mod engine;
pub mod loss;
pub mod optimizer;
pub mod schedule;
