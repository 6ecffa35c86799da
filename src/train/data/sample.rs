//! A labelled picture.

use crate::error::{Error, Result};
use crate::labels::{MaskRules, Picture};
use crate::media::still;
use crate::types::{Image, Size};
use std::path::PathBuf;
use std::sync::Arc;

/// A picture, and what is in it.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Its file.
    pub path: PathBuf,
    /// Its size, upright.
    pub size: Size,
    /// What the labels call it.
    pub name: String,
    /// Its labels.
    pub picture: Picture,
    /// Its class as a whole, as a number.
    pub class: Option<usize>,
    /// The objects in it: their corners in its pixels, and their classes.
    pub objects: Vec<([f64; 4], usize)>,
    /// What the values of its class map mean.
    pub rules: Option<Arc<MaskRules>>,
    /// The SHA-256 of its file.
    pub hash: [u8; 32],
}

impl Sample {
    /// Decodes the picture.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Data`] if it is no picture or damaged.
    pub fn image(&self) -> Result<Image> {
        let (path, mut image) = (&self.path, Image::default());
        let bytes = std::fs::read(path).map_err(|e| Error::io(path, e))?;
        match still::decode(&bytes, &mut image) {
            Ok(None) => Ok(image),
            Ok(Some(damage)) => {
                let what =
                    format!("{}: it is damaged ({damage}); replace it, or take it out of the set", path.display());
                Err(Error::Data(what))
            }
            Err(error) => Err(error.at(path.display())),
        }
    }
}
