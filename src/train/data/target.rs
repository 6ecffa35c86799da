//! What is to be learnt from a picture as it is seen.

use super::sample::Sample;
use super::view::View;
use crate::error::{Error, Result};

/// What is to be learnt from one picture.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Target {
    /// Its class.
    pub class: Option<usize>,
    /// The objects that are seen: their corners in pixels of the model's input, and their classes.
    pub objects: Vec<([f32; 4], usize)>,
    /// The class of each pixel of the model's input; empty if the set has no class maps.
    pub map: Vec<u8>,
}

impl Target {
    /// That of a picture as it is seen.
    ///
    /// # Errors
    /// [`Error::Data`] if the class map of the picture cannot be read, or is of another size.
    pub fn of(sample: &Sample, view: &View) -> Result<Self> {
        let mut target = Self { class: sample.class, objects: view.objects(&sample.objects), map: Vec::new() };
        if let (Some(path), Some(rules)) = (&sample.picture.mask, &sample.rules) {
            let (size, map) = rules.read(path)?;
            if size != sample.size {
                let (map, picture, real) = (path.display(), sample.path.display(), sample.size);
                return Err(Error::Data(format!(
                    "{map}: the class map is {size}, but {picture} is {real}; give a map of this picture"
                )));
            }
            target.map = view.map(&map);
        }
        Ok(target)
    }
}
