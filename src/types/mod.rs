//! What flows through a pipeline: pictures, boxes, and the packet that carries them.

mod detection;
mod found;
mod frame;
mod geometry;
mod image;
mod instance;
mod map;
mod objects;
mod packet;
mod pool;
mod rle;
pub mod row;

pub use detection::{Class, Corners, Detection, Kind, Kinds};
pub use found::{Found, Maker};
pub use frame::{Coded, CodedForm, Frame, ModelInput};
pub use geometry::{BBox, Placement, Size};
pub use image::{Image, PixelFormat};
pub use instance::{InstanceMask, Prototypes};
pub use map::{Heatmap, Mask};
pub use objects::{Details, Objects, Point};
pub use packet::{Packet, Products};
pub use pool::Pool;
pub use rle::{Rle, RleText};
