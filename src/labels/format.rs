//! The formats of labels.

use serde::{Deserialize, Serialize};

/// The format of labels.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Deserialize,
    Serialize,
    clap::ValueEnum,
    schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// COCO's JSON
    #[default]
    Coco,
    /// Pascal VOC's XML, one file for each picture
    Voc,
    /// YOLO's text files, one for each picture
    Yolo,
    /// Class maps: a PNG for each picture, whose values are class numbers
    Masks,
    /// A folder of pictures for each class
    Folders,
}

impl Format {
    /// The name for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Coco => "COCO",
            Self::Voc => "Pascal VOC",
            Self::Yolo => "YOLO",
            Self::Masks => "class maps",
            Self::Folders => "folders of classes",
        }
    }
}
