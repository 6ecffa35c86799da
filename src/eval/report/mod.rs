//! The measurements as text, as JSON and as an HTML page.

mod boxes;
mod drawn;
mod html;
mod others;

use super::measure::{Detection, Measured};
use super::table::{shown, table};
use super::tide::Kind;
use serde_json::{Value, json};
use std::fmt::Write as _;

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

impl Measured {
    /// How much was measured, and what was odd.
    fn head(&self) -> String {
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
        text
    }

    /// Returns the measurements as text for people.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = self.head();
        if let Some(detection) = &self.detection {
            for ((name, value), meaning) in detection.coco.summary.named().into_iter().zip(MEANING) {
                let _ = writeln!(text, "  {name:6} {}  {meaning}", shown(value));
            }
            text += &table(&CLASS_HEAD, &detection.rows());
            if let Some((line, cut)) =
                detection.cut.as_ref().filter(|(_, cut)| *cut > 0.0501 && detection.total.missed > 0)
            {
                let _ = writeln!(
                    text,
                    "`{line}` lets nothing through below a score of {}, and AP is that of the pipeline's output; for nearly the model's own AP: --set {line}.min_score=0.05",
                    (cut * 1e4).round() / 1e4
                );
            }
        }
        if let Some(segmentation) = &self.segmentation {
            let confusion = &segmentation.confusion;
            let _ = writeln!(
                text,
                "  mIoU {}  pixel accuracy {}  mean class accuracy {}  frequency-weighted IoU {}",
                shown(confusion.mean_iou()),
                shown(confusion.pixel_accuracy()),
                shown(confusion.mean_class_accuracy()),
                shown(confusion.frequency_weighted_iou())
            );
            text += &table(&["class", "IoU", "Dice", "boundary IoU"], &segmentation.rows());
        }
        if let Some(top) = self.classification.as_ref().map(|c| &c.top) {
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
        if let Some(detection) = &self.detection {
            let name = |class: &u64| detection.names.get(class).cloned().unwrap_or_else(|| class.to_string());
            let tide = &detection.tide;
            let kind = |(at, kind): (usize, Kind)| {
                (
                    kind.tidecv().to_owned(),
                    json!({ "count": tide.counts[at], "gain": tide.gains[at], "meaning": kind.meaning() }),
                )
            };
            all["by_iou"] = json!(detection.coco.by_iou);
            all["tide"] = json!({
                "AP50": tide.ap50, "FalsePos": tide.special[0], "FalseNeg": tide.special[1],
                "errors": Kind::ALL.into_iter().enumerate().map(kind).collect::<serde_json::Map<_, _>>(),
            });
            all["confusion"] = json!({
                "rows": "real, then nothing there", "columns": "found, then missed",
                "classes": detection.matrix.classes.iter().map(name).collect::<Vec<_>>(), "counts": detection.matrix.counts,
            });
            let threshold = |(class, curves): (&u64, &super::thresholds::Curves)| {
                let best = curves.best(detection.floor())?;
                let (score, f1) = (best.score, best.f1());
                Some(
                    json!({ "class": name(class), "min_score": score, "precision": best.precision, "recall": best.recall, "F1": f1 }),
                )
            };
            all["thresholds"] = detection.curves.iter().filter_map(threshold).collect();
        }
        if let Some(segmentation) = &self.segmentation {
            let confusion = &segmentation.confusion;
            all["segmentation"] = json!({
                "miou": confusion.mean_iou(), "pixel_accuracy": confusion.pixel_accuracy(),
                "mean_class_accuracy": confusion.mean_class_accuracy(), "iou": confusion.iou(),
                "boundary_iou": segmentation.boundaries.iou(), "mean_boundary_iou": segmentation.mean_boundary_iou(),
                "names": segmentation.names, "confusion": confusion.counts(),
            });
        }
        if let Some(classification) = &self.classification {
            let (top, calibration) = (&classification.top, classification.calibration());
            all["classification"] = json!({
                "top1": top.top1(), "top5": top.top5(), "pictures": top.count, "confused": classification.confused(),
                "calibration_error": calibration.as_ref().map(|c| c.error),
                "calibration": calibration.map(|c| c.bins.iter().map(|b| json!([b.count, b.score, b.right])).collect::<Vec<_>>()),
            });
        }
        all["provenance"] = self
            .provenance
            .iter()
            .map(|(what, value)| (what.clone(), json!(value)))
            .collect::<serde_json::Map<_, _>>()
            .into();
        if !self.records.is_empty() {
            all["pictures"] = json!(self.records);
        }
        all
    }
}
