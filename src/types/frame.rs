//! One picture of one source, and the model input made from it.

use super::{Image, Placement, Size};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// One picture of one source.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Name of the line that made it.
    pub source: Arc<str>,
    /// Counts the frames of the source from 0; a gap means a drop.
    pub seq: u64,
    /// Media time since the source's first frame, or, for live sources, since the first frame of any live source of the
    /// run. Never the wall clock.
    pub pts: Duration,
    /// Recorded: the source's start plus `pts`. Live: the time of day when it arrived. For output only.
    pub wall: SystemTime,
    /// The pixels.
    pub image: Image,
    /// Path of the picture below the folder that is read, if the source reads picture files; otherwise empty.
    pub name: String,
    /// Whether the picture file is stored on its side, so that width and height have changed places.
    pub sideways: bool,
    /// The picture as the source sent it; filled in only while something records it.
    pub coded: Coded,
}

/// A picture as its source sent it, before it was decoded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coded {
    /// What `bytes` hold.
    pub form: CodedForm,
    /// The bytes; empty if `form` says so.
    pub bytes: Vec<u8>,
}

impl Coded {
    /// Resets to unknown, but keeps the buffer.
    pub fn clear(&mut self) {
        self.form = CodedForm::Unknown;
        self.bytes.clear();
    }

    /// Stores a whole JPEG.
    pub fn set_jpeg(&mut self, bytes: &[u8]) {
        self.form = CodedForm::Jpeg;
        self.bytes.clear();
        self.bytes.extend_from_slice(bytes);
    }
}

/// How a source sent a picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CodedForm {
    /// Unknown, or as plain pixels; no bytes.
    #[default]
    Unknown,
    /// A whole JPEG.
    Jpeg,
    /// The picture of the H.264 access unit at this time of the stream. No bytes: the unit itself was reported when
    /// it arrived, because the pictures around it need it too.
    Unit(Duration),
}

impl Default for Frame {
    fn default() -> Self {
        Self {
            source: Arc::from(""),
            seq: 0,
            pts: Duration::ZERO,
            wall: SystemTime::UNIX_EPOCH,
            image: Image::default(),
            name: String::new(),
            sideways: false,
            coded: Coded::default(),
        }
    }
}

/// What a model sees of a frame, and how to map it back.
#[derive(Clone, Debug)]
pub struct ModelInput {
    /// The resized picture, 8 bits, before normalisation.
    pub image: Image,
    /// The mapping from input pixels to frame pixels.
    pub placement: Placement,
}

impl Default for ModelInput {
    fn default() -> Self {
        Self {
            image: Image::default(),
            placement: Placement { scale: (1.0, 1.0), offset: (0.0, 0.0), frame: Size::default() },
        }
    }
}
