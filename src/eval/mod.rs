//! Measures how good answers are: metrics as the field's reference programs compute them, readers of labels, the
//! differences between two runs, and reports.

pub mod boundary;
pub mod calibration;
pub mod classification;
pub mod coco;
pub mod compare;
pub mod diff;
pub mod golden;
pub mod matrix;
pub mod measure;
pub mod page;
pub mod pictures;
pub mod records;
pub mod report;
pub mod rows;
pub mod segmentation;
pub mod sheet;
pub mod table;
pub mod thresholds;
pub mod tide;
pub mod voc;

/// A box in COCO's form: left, top, width, height in pixels.
pub type Xywh = [f64; 4];
