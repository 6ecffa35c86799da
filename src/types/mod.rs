//! What flows through a pipeline: pictures, boxes, and the packet that carries them.

mod detection;
mod found;
mod frame;
mod geometry;
mod image;
mod map;
mod packet;
mod pool;
pub mod row;

pub use detection::{Class, Detection, FacePoints, Kind, Kinds};
pub use found::{Found, Maker};
pub use frame::{Coded, CodedForm, Frame, ModelInput};
pub use geometry::{BBox, Placement, Size};
pub use image::{Image, PixelFormat};
pub use map::{Heatmap, Mask};
pub use packet::{Packet, Products};
pub use pool::Pool;
