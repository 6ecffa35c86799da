//! Measures how good answers are: metrics as the field's reference programs compute them, readers of labels, the
//! differences between two runs, and reports.

pub mod classification;
pub mod coco;
pub mod diff;
pub mod golden;
pub mod measure;
pub mod page;
pub mod pictures;
pub mod report;
pub mod rows;
pub mod segmentation;
pub mod sheet;
pub mod voc;

/// A box in COCO's form: left, top, width, height in pixels.
pub type Xywh = [f64; 4];
