//! What flows through a pipeline: pictures, boxes, and the packet that carries them.

mod detection;
mod frame;
mod geometry;
mod image;
mod packet;
mod pool;

pub use detection::Detection;
pub use frame::{Frame, ModelInput};
pub use geometry::{BBox, Placement, Size};
pub use image::{Image, PixelFormat};
pub use packet::{Packet, Products};
pub use pool::Pool;
