//! YOLOX: rows of `dx, dy, log w, log h, objectness, classes` without anchors.

use super::head::{Head, Loss};
use super::levels::{End, ends, towers};
use super::linear::{Start, follow, output_of};
use crate::error::{Error, Result};
use crate::eval::measure::Measured;
use crate::infer::Card;
use crate::models::yolo::{Cell, Form, Kind, Scores, Yolo, cells};
use crate::onnx::Model;
use crate::train::data::Target;
use crate::train::engine::Tensor;
use crate::train::loss::simota;
use crate::train::recipe::Written;
use rayon::prelude::*;
use std::collections::BTreeSet;

struct Detector {
    outputs: Vec<String>,
    last: BTreeSet<String>,
    towers: BTreeSet<String>,
    cells: Vec<Cell>,
    classes: usize,
    /// Whether scores have been through a sigmoid.
    probabilities: bool,
}

/// Finds the last layers, and gives them the classes.
///
/// # Errors
/// [`Error::Model`] if the graph is not a YOLOX.
pub fn attach(
    spec: &Yolo,
    written: &Written,
    card: &Card,
    model: &mut Model,
    classes: &[String],
) -> Result<Box<dyn Head>> {
    let bad = |what: &str| Error::Model(format!("model `{}`: {what}", card.name));
    if spec.kind != Kind::X || spec.form != Form::Heads {
        return Err(bad("of the YOLOs, only `kind: x` with `form: heads` can be trained yet"));
    }
    let output = output_of(card, model, spec.output)?;
    let columns = 5 + card.labels.len();
    let found = ends(model, &output, columns);
    let found =
        found.ok_or_else(|| bad(&format!("its rows of {columns} numbers are not gathered from convolutions")))?;
    let own =
        |name: &String| card.labels.iter().position(|known| known == name).filter(|_| !written.recipe.heads.fresh);
    let start = Start { seed: written.recipe.schedule.seed, bias: 0.0 };
    for End { layer, first, count, .. } in &found {
        // Columns of a class: others stay.
        let before = 5_usize.saturating_sub(*first);
        if *count <= before {
            continue;
        }
        let rows: Vec<Option<usize>> =
            (0..before).map(Some).chain(classes.iter().map(|name| own(name).map(|class| before + class))).collect();
        layer.reclass(model, &rows, &start)?;
    }
    for End { layer, .. } in &found {
        follow(model, &layer.logits, columns, 5 + classes.len());
    }
    Ok(Box::new(Detector {
        outputs: vec![output],
        last: found.iter().flat_map(|end| end.layer.weights()).collect(),
        towers: towers(model, &found),
        cells: cells(card.fields.input.size, &spec.strides),
        classes: classes.len(),
        probabilities: spec.scores == Scores::Probability,
    }))
}

impl Head for Detector {
    fn outputs(&self) -> &[String] {
        &self.outputs
    }

    fn last(&self) -> &BTreeSet<String> {
        &self.last
    }

    fn is_backbone(&self, weight: &str) -> bool {
        !self.towers.contains(weight)
    }

    fn loss(&self, outputs: &[&Tensor], targets: &[Target]) -> Loss {
        let (width, values) = (5 + self.classes, &outputs[0].values);
        let len = self.cells.len() * width;
        let one = |(picture, target): (usize, &Target)| {
            let mut logits = values[picture * len..][..len].to_vec();
            if self.probabilities {
                scores(&mut logits, width).for_each(|p| *p = logit(*p));
            }
            let mut found = simota::rows(&logits, self.classes, &self.cells, &target.objects);
            if self.probabilities {
                // Back through the sigmoid of the graph, which multiplies by p (1 - p) what it gets.
                let given = &values[picture * len..][..len];
                scores(&mut found.gradient, width).zip(given.chunks(width).flat_map(|row| &row[4..])).for_each(
                    |(g, p)| {
                        let p = p.clamp(LEAST, 1.0 - LEAST);
                        *g /= p * (1.0 - p);
                    },
                );
            }
            found
        };
        let found: Vec<simota::Rows> = targets.par_iter().enumerate().map(one).collect();
        let answers = found.iter().map(|rows| rows.answers).sum::<usize>().max(1) as f64;
        let mut gradient = vec![0.0; values.len()];
        for (to, rows) in gradient.chunks_mut(len).zip(&found) {
            to.iter_mut().zip(&rows.gradient).for_each(|(to, g)| *to = (f64::from(*g) / answers) as f32);
        }
        let part = |at: usize| found.iter().map(|rows| rows.sums[at]).sum::<f64>() / answers;
        Loss { parts: vec![("box", part(0)), ("object", part(1)), ("class", part(2))], gradients: vec![gradient] }
    }

    fn lines(&self, model: &str, least: Option<f64>) -> Vec<(&'static str, String)> {
        let score = least.unwrap_or(0.3);
        vec![("detect", format!("{{ model: {model}, min_score: {score} }}")), ("nms", "{}".into())]
    }

    fn metric_name(&self) -> &'static str {
        "AP50"
    }

    fn metric(&self, measured: &Measured) -> Option<f64> {
        measured.detection.as_ref().and_then(|found| found.coco.summary.ap50)
    }
}

/// The least probability that can be told from 0 or 1 in 32 bits.
const LEAST: f32 = 6e-8;

fn logit(p: f32) -> f32 {
    let p = f64::from(p.clamp(LEAST, 1.0 - LEAST));
    (p / (1.0 - p)).ln() as f32
}

/// The scores of rows.
fn scores(rows: &mut [f32], width: usize) -> impl Iterator<Item = &mut f32> {
    rows.chunks_mut(width).flat_map(|row| &mut row[4..])
}
