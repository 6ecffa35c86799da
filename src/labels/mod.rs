//! Labels made by people, in the forms in which they have them: COCO's JSON, Pascal VOC's XML, YOLO's text files, class
//! maps as PNG, folders of classes.
//!
//! Each format is read as its reference reader reads it (pycocotools, torchvision, Ultralytics; `tests/readers.rs`). An
//! odd annotation costs that annotation: it is left out, counted and named in [`Notes`]. What makes all numbers wrong
//! is an error: labels without names, classes that the model does not know, boxes in another unit.

mod classes;
mod coco;
mod colors;
mod dataset;
mod fit;
mod folders;
mod format;
mod guess;
mod keys;
mod loose;
mod masks;
mod matching;
mod names;
mod notes;
pub mod pictures;
mod read;
mod text;
mod tree;
mod truth;
mod voc;
mod xml;
mod yolo;

pub use classes::{ClassFit, Counts, same_name};
pub use colors::Colors;
pub use fit::BoxFit;
pub use format::Format;
pub use masks::{MaskRules, UNLABELLED, values};
pub use matching::{Matching, Played};
pub use notes::{Note, Notes};
pub use text::{is_unseen, shown};
pub use truth::Truth;

use crate::types::Size;
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

/// What is known about a set of pictures.
#[derive(Clone, Debug, Default)]
pub struct Labels {
    /// The format that was read.
    pub format: Format,
    /// Why it was taken to be this format.
    pub why: String,
    /// The pictures.
    pub pictures: Vec<Picture>,
    /// Where the names of class numbers come from; empty if the labels contain names, or if there are none.
    pub named_by: String,
    /// Names without ending of pictures whose label file holds no labels: nothing is known of them.
    pub unread: HashSet<String>,
    /// What was odd.
    pub notes: Notes,
    /// What the colours of class maps mean.
    pub colors: Option<Arc<Colors>>,
    /// What the user said about the labels.
    pub truth: Truth,
}

/// What is known about a picture.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Picture {
    /// What the labels call it: a path with `/`, with or without an ending.
    pub path: String,
    /// Another name for it, which counts if no picture has the first one.
    pub also: Option<String>,
    /// The file that it is labelled in, for messages.
    pub file: PathBuf,
    /// The size that the labels state.
    pub size: Option<Size>,
    /// The part of the set that it belongs to: `train`, `val`, `test`.
    pub split: Option<Arc<str>>,
    /// The objects in it.
    pub boxes: Vec<Labelled>,
    /// The class of each pixel.
    pub mask: Option<PathBuf>,
    /// The class of the picture as a whole.
    pub class: Option<Arc<str>>,
}

/// An object in a picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Labelled {
    /// The class.
    pub class: ClassName,
    /// Its box.
    pub place: Place,
    /// Area in pixels, if it is not that of the box.
    pub area: Option<f64>,
    /// A crowd: any number of detections in it are neither right nor wrong.
    pub crowd: bool,
    /// Marked as difficult: does not count as missed if it is not found.
    pub difficult: bool,
}

/// A class by name or, in labels without names, by its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClassName {
    /// Its name.
    Name(Arc<str>),
    /// Its number.
    Number(u16),
}

/// A box in the coordinates of its format.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Place {
    /// x1, y1, x2, y2 in pixels; x2 and y2 exclusive.
    Pixels([f64; 4]),
    /// Centre x, centre y, width, height, as fractions of the picture.
    Parts([f64; 4]),
}

impl Place {
    /// Returns x1, y1, x2, y2 in pixels of a picture of this size.
    #[must_use]
    pub fn corners(&self, size: Size) -> [f64; 4] {
        let (w, h) = (f64::from(size.width), f64::from(size.height));
        match *self {
            Self::Pixels(corners) => corners,
            Self::Parts([x, y, wide, high]) => {
                [(x - wide / 2.0) * w, (y - high / 2.0) * h, (x + wide / 2.0) * w, (y + high / 2.0) * h]
            }
        }
    }
}

impl Labels {
    /// The SHA-256 of the label files and of what the user says about them, in the order of their paths; of pictures in
    /// folders of classes, of their paths.
    #[must_use]
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        let mut files: Vec<&PathBuf> = self.pictures.iter().map(|picture| &picture.file).collect();
        files.sort();
        files.dedup();
        for path in files {
            match std::fs::read(path) {
                Ok(bytes) if self.format != Format::Folders => hash.update(&bytes),
                _ => hash.update(path.to_string_lossy().as_bytes()),
            }
        }
        hash.update(format!("{:?} {}", Truth { path: PathBuf::new(), ..self.truth.clone() }, self.named_by));
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Returns whether a picture without labels has nothing in it, as in YOLO's sets; otherwise nothing is known of it.
    #[must_use]
    pub const fn background(&self) -> bool {
        matches!(self.format, Format::Yolo)
    }

    /// Returns whether a picture has a label file that holds no labels.
    #[must_use]
    pub fn is_unread(&self, name: &str) -> bool {
        !self.unread.is_empty() && self.unread.contains(&keys::Key::of(name).stem)
    }
}
