//! The measurements as text, as JSON and as an HTML page.

use super::measure::{Detection, Measured};
use super::page::Page;
use crate::error::Result;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// A name with its control characters shown, and cut if it is long.
fn shown_name(name: &str) -> String {
    const MOST: usize = 48;
    let plain = crate::labels::shown(name);
    if plain.chars().count() > MOST { plain.chars().take(MOST - 1).chain(['…']).collect() } else { plain }
}

/// Formats a number for people: `0.742`, or `-` if there was nothing to measure.
#[must_use]
pub fn shown(value: Option<f64>) -> String {
    value.map_or_else(|| "-".into(), |value| format!("{value:.3}"))
}

const MEANING: [&str; 12] = [
    "mAP, IoU 0.50:0.95",
    "at IoU 0.50",
    "at IoU 0.75",
    "small objects, below 32x32",
    "medium",
    "large, above 96x96",
    "recall with 1 detection per picture",
    "with 10",
    "with 100",
    "of small objects",
    "of medium ones",
    "of large ones",
];

impl Detection {
    /// Returns one row per class: name, AP, AP50, VOC's 11 points and area, precision, recall, right, wrong, missed.
    fn rows(&self) -> Vec<Vec<String>> {
        let row = |(class, name): (&u64, &String)| {
            let (ap, ap50) = self.coco.classes.get(class).copied().unwrap_or_default();
            let voc = self.voc.get(class);
            let counts = self.counts.get(class).copied().unwrap_or_default();
            let mut row = vec![name.clone()];
            row.extend([ap, ap50, voc.map(|v| v.0), voc.map(|v| v.1), counts.precision(), counts.recall()].map(shown));
            row.extend([counts.right, counts.wrong, counts.missed].map(|count| count.to_string()));
            row
        };
        self.names.iter().map(row).collect()
    }
}

const CLASS_HEAD: [&str; 10] =
    ["class", "AP", "AP50", "VOC 11pt", "VOC area", "precision", "recall", "right", "wrong", "missed"];

/// Formats a table as plain text: the first column left-aligned, the others right-aligned. Long names are cut.
#[must_use]
pub fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(|cell| shown_name(cell)).collect()).collect();
    let head: Vec<String> = head.iter().map(|cell| shown_name(cell)).collect();
    let wide = |at: usize| rows.iter().chain([&head]).map(|row| row[at].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..head.len()).map(wide).collect();
    let mut text = String::new();
    for row in std::iter::once(&head).chain(&rows) {
        let cells = row.iter().zip(&widths).enumerate();
        let cells: Vec<String> =
            cells.map(|(at, (cell, &w))| if at == 0 { format!("{cell:w$}") } else { format!("{cell:>w$}") }).collect();
        let _ = writeln!(text, "{}", cells.join("  ").trim_end());
    }
    text
}

impl Measured {
    /// Returns the measurements as text for people.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!("{} frames", self.frames);
        if self.unlabelled > 0 {
            let _ = write!(text, ", {} more without labels", self.unlabelled);
        }
        if self.unseen > 0 {
            let _ = write!(text, "; {} labelled pictures were not played and do not count", self.unseen);
        }
        text.push('\n');
        self.info.iter().for_each(|line| _ = writeln!(text, "{line}"));
        self.notes.iter().for_each(|line| _ = writeln!(text, "note: {line}"));
        if let Some(detection) = &self.detection {
            for ((name, value), meaning) in detection.coco.summary.named().into_iter().zip(MEANING) {
                let _ = writeln!(text, "  {name:6} {}  {meaning}", shown(value));
            }
            text += &table(&CLASS_HEAD, &detection.rows());
            if let Some((line, cut)) =
                detection.cut.as_ref().filter(|(_, cut)| *cut > 0.05 && detection.total.missed > 0)
            {
                let _ = writeln!(
                    text,
                    "`{line}` lets nothing through below a score of {cut:.2}, and AP is that of the pipeline's output; for the model's own AP: --set {line}.min_score=0.05"
                );
            }
        }
        if let Some((confusion, names)) = &self.segmentation {
            let _ = writeln!(
                text,
                "  mIoU {}  pixel accuracy {}  mean class accuracy {}  frequency-weighted IoU {}",
                shown(confusion.mean_iou()),
                shown(confusion.pixel_accuracy()),
                shown(confusion.mean_class_accuracy()),
                shown(confusion.frequency_weighted_iou())
            );
            let rows: Vec<_> = confusion
                .iou()
                .into_iter()
                .zip(confusion.dice())
                .enumerate()
                .map(|(class, (iou, dice))| {
                    let name = names.get(class).cloned().unwrap_or_else(|| class.to_string());
                    vec![name, shown(iou), shown(dice)]
                })
                .collect();
            text += &table(&["class", "IoU", "Dice"], &rows);
        }
        if let Some(top) = &self.classification {
            let _ =
                writeln!(text, "  top-1 {}  top-5 {}  of {} pictures", shown(top.top1()), shown(top.top5()), top.count);
        }
        text
    }

    /// Returns the measurements as JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        let mut all = json!({
            "frames": self.frames, "unlabelled": self.unlabelled, "unseen": self.unseen, "notes": self.notes,
            "about": self.info,
        });
        if let Some(detection) = &self.detection {
            let summary: serde_json::Map<String, Value> = detection
                .coco
                .summary
                .named()
                .into_iter()
                .map(|(name, value)| (name.to_owned(), json!(value)))
                .collect();
            let class = |(class, name): (&u64, &String)| {
                let (ap, ap50) = detection.coco.classes.get(class).copied().unwrap_or_default();
                let counts = detection.counts.get(class).copied().unwrap_or_default();
                let voc = detection.voc.get(class);
                json!({
                    "class": name, "AP": ap, "AP50": ap50, "voc_11pt": voc.map(|v| v.0), "voc_area": voc.map(|v| v.1),
                    "precision": counts.precision(), "recall": counts.recall(),
                    "right": counts.right, "wrong": counts.wrong, "missed": counts.missed,
                })
            };
            all["coco"] = summary.into();
            all["classes"] = detection.names.iter().map(class).collect();
            all["precision"] = json!(detection.total.precision());
            all["recall"] = json!(detection.total.recall());
        }
        if let Some((confusion, names)) = &self.segmentation {
            all["segmentation"] = json!({
                "miou": confusion.mean_iou(), "pixel_accuracy": confusion.pixel_accuracy(),
                "mean_class_accuracy": confusion.mean_class_accuracy(), "iou": confusion.iou(), "names": names,
                "confusion": confusion.counts(),
            });
        }
        if let Some(top) = &self.classification {
            all["classification"] = json!({ "top1": top.top1(), "top5": top.top5(), "pictures": top.count });
        }
        all
    }

    /// Returns an HTML page with the numbers, curves of precision over recall, and the worst pictures.
    ///
    /// # Errors
    /// If a picture is too large for a JPEG.
    pub fn html(&self, title: &str) -> Result<String> {
        let mut page = Page::new(title);
        page.text(&self.text());
        if let Some(detection) = &self.detection {
            page.heading("Precision over recall at IoU 0.5");
            let points = |curve: &Vec<f64>| curve.iter().enumerate().map(|(at, p)| (at as f64 * 0.01, *p)).collect();
            let name = |class: &u64| detection.names.get(class).cloned().unwrap_or_else(|| class.to_string());
            let series: Vec<_> =
                detection.coco.curves.iter().map(|(class, curve)| (name(class), points(curve))).collect();
            page.chart(("recall", "precision"), &series, [(0.0, 1.0); 2]);
            page.table(&CLASS_HEAD, &detection.rows());
        }
        if !self.worst.is_empty() {
            page.heading("The worst pictures");
        }
        for worst in &self.worst {
            page.picture(&worst.picture, &worst.title)?;
        }
        Ok(page.finish())
    }
}
