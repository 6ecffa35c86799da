//! Training on the host: new heads on a model's frozen layers, or all of its layers.
//!
//! [`engine`] computes a graph and its gradients; [`loss`] says how wrong its answers are; [`optimizer`] and [`schedule`]
//! change the weights. A [`recipe`] says what is trained on which [`data`].

pub mod data;
pub mod engine;
pub mod events;
pub mod explain;
pub mod export;
pub mod features;
pub mod heads;
pub mod judge;
pub mod linear;
pub mod loss;
pub mod manual;
pub mod nets;
pub mod optimizer;
pub mod plan;
pub mod publish;
pub mod random;
pub mod recipe;
pub mod schedule;
pub mod trainer;
pub mod weights;
