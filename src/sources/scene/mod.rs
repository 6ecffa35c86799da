//! A rendered street or table that knows what it shows.

mod noise;
mod render;
mod shapes;
mod world;

pub use render::Renderer;
pub use shapes::CLASSES;
pub use world::Setting;
