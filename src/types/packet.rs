//! A frame and all that has been found in it so far.

use super::{Class, Detection, Frame, Heatmap, Image, Mask, ModelInput};
use std::sync::Arc;
use std::time::Duration;

bitflags::bitflags! {
    /// One bit for each optional field of [`Packet`]: what a line needs and what it gives.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Products: u16 {
        /// [`Packet::input`].
        const INPUT = 1;
        /// [`Packet::detections`].
        const DETECTIONS = 2;
        /// [`Packet::canvas`].
        const CANVAS = 4;
        /// [`Packet::truth`].
        const TRUTH = 8;
        /// [`Packet::classes`].
        const CLASSES = 16;
        /// [`Packet::mask`].
        const MASK = 32;
        /// [`Packet::heatmap`].
        const HEATMAP = 64;
        /// [`Packet::error`].
        const ERROR = 128;
    }
}

impl Products {
    /// The plain names, for messages and pictures of the graph: `input, detections`.
    #[must_use]
    pub fn words(self) -> String {
        let words: Vec<String> = self.iter_names().map(|(name, _)| name.to_lowercase()).collect();
        words.join(", ")
    }
}

/// A frame and all that has been found in it so far. Cloning copies pointers, never pixels.
#[derive(Clone, Debug)]
pub struct Packet {
    /// The picture.
    pub frame: Arc<Frame>,
    /// What a model is to see of it.
    pub input: Option<Arc<ModelInput>>,
    /// What was found.
    pub detections: Option<Arc<Vec<Detection>>>,
    /// Names of the classes of `detections`.
    pub labels: Option<Arc<[String]>>,
    /// What the whole frame shows, best first.
    pub classes: Option<Arc<Vec<Class>>>,
    /// Names of the classes of `classes` and `heatmap`.
    pub class_labels: Option<Arc<[String]>>,
    /// Names of the classes of [`Detection::kind`].
    pub kind_labels: Option<Arc<[String]>>,
    /// The class of each pixel.
    pub mask: Option<Arc<Mask>>,
    /// Names of the classes of `mask`.
    pub mask_labels: Option<Arc<[String]>>,
    /// Where a classifier looked.
    pub heatmap: Option<Arc<Heatmap>>,
    /// How badly a model could reconstruct the frame: the mean squared difference of its normalised values.
    pub error: Option<f32>,
    /// The picture with boxes drawn on it, or made by a model.
    pub canvas: Option<Arc<Image>>,
    /// What is really there; only a rendered `scene` and what was kept of one know.
    pub truth: Option<Arc<Vec<Detection>>>,
    /// Names of the classes of `truth`.
    pub truth_labels: Option<Arc<[String]>>,
    /// The clock's time when the frame left its source; set by the runner, for deadlines.
    pub born: Duration,
}

impl Packet {
    /// A packet in which nothing has been found yet.
    #[must_use]
    pub const fn new(frame: Arc<Frame>) -> Self {
        Self {
            frame,
            input: None,
            detections: None,
            labels: None,
            classes: None,
            class_labels: None,
            kind_labels: None,
            mask: None,
            mask_labels: None,
            heatmap: None,
            error: None,
            canvas: None,
            truth: None,
            truth_labels: None,
            born: Duration::ZERO,
        }
    }

    /// The name of a class, or its number where the model has no names.
    #[must_use]
    pub fn label(&self, class: u16) -> Option<&str> {
        self.labels.as_ref()?.get(usize::from(class)).map(String::as_str)
    }
}
