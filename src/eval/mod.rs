//! How good are the answers: metrics as the field's reference programs compute them, readers of labels, the difference
//! of two runs, and reports to look at.

pub mod classification;
pub mod coco;
pub mod diff;
pub mod golden;
pub mod labels;
pub mod measure;
pub mod page;
pub mod pictures;
pub mod report;
pub mod rle;
pub mod rows;
pub mod segmentation;
pub mod voc;

/// A box as COCO has it: left, top, width, height in pixels.
pub type Xywh = [f64; 4];
