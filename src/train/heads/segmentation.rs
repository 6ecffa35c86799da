//! Class maps: cross-entropy of each pixel, at the size of the graph's scores.

use super::head::{Head, Loss};
use super::linear::{Layer, Start, follow, output_of};
use crate::error::{Error, Result};
use crate::eval::measure::Measured;
use crate::infer::Card;
use crate::labels::UNLABELLED;
use crate::models::segmentation::{Form, Segmentation};
use crate::onnx::Model;
use crate::ops::normalize::Layout;
use crate::train::data::Target;
use crate::train::engine::Tensor;
use crate::train::loss::{CrossEntropy, binary};
use crate::train::recipe::Written;
use crate::types::Size;
use std::collections::BTreeSet;

struct Maps {
    outputs: Vec<String>,
    last: BTreeSet<String>,
    classes: usize,
    /// Whether the channels are the last axis.
    channels_last: bool,
    /// The size of the targets.
    input: Size,
    /// Whether there is one logit, that of class 1.
    single: bool,
    loss: CrossEntropy,
}

/// Finds the last layer, and gives it the classes.
///
/// # Errors
/// [`Error::Model`] if the graph does not end in a convolution whose scores are only resized.
pub fn attach(
    spec: &Segmentation,
    written: &Written,
    card: &Card,
    model: &mut Model,
    classes: &[String],
) -> Result<Box<dyn Head>> {
    let settings = &written.recipe.heads;
    let output = output_of(card, model, spec.output)?;
    let odd = || {
        Error::Model(format!(
            "model `{}`: its output `{output}` is not the resized result of one convolution",
            card.name
        ))
    };
    let (scores, axis) = scores(model, &output, spec.form).ok_or_else(odd)?;
    let layer = convolution(model, &scores).ok_or_else(odd)?;
    let single = matches!(spec.form, Form::Binary | Form::Probability);
    if single && classes.len() != 2 {
        return Err(Error::Model(format!(
            "model `{}` gives one number for each pixel, and the set has {} classes; start from a model with one number for each class",
            card.name,
            classes.len()
        )));
    }
    if !single {
        let own = |name: &String| card.labels.iter().position(|known| known == name).filter(|_| !settings.fresh);
        let rows: Vec<Option<usize>> = classes.iter().map(own).collect();
        let old = layer.reclass(model, &rows, &Start { seed: written.recipe.schedule.seed, bias: 0.0 })?;
        follow(model, &layer.logits, old, rows.len());
    }
    let layout = spec.layout.unwrap_or(card.fields.input.layout);
    Ok(Box::new(Maps {
        outputs: vec![scores],
        last: layer.weights(),
        classes: classes.len(),
        channels_last: axis.map_or(layout == Layout::Nhwc, |axis| axis == 3 || axis == -1),
        input: card.fields.input.size,
        single,
        loss: CrossEntropy {
            weights: Vec::new(),
            ignore: Some(usize::from(UNLABELLED)),
            smoothing: settings.smoothing,
        },
    }))
}

/// The value with the scores of an output, and the axis of the classes if an ArgMax says it.
fn scores(model: &Model, output: &str, form: Form) -> Option<(String, Option<i64>)> {
    let (graph, index) = (model.graph(), model.index());
    let mut value = output;
    loop {
        let node = &graph.node[index.maker(value)?];
        match (node.op(), form) {
            ("ArgMax", Form::Classes) => return Some((node.input(0)?.to_owned(), Some(node.int("axis", 0)))),
            ("Sigmoid", Form::Probability) | ("Softmax", Form::Logits) => {
                return Some((node.input(0)?.to_owned(), None));
            }
            ("Cast" | "Squeeze" | "Identity", Form::Classes | Form::Probability) => value = node.input(0)?,
            (_, Form::Logits | Form::Binary) => return Some((output.to_owned(), None)),
            _ => return None,
        }
    }
}

/// The convolution that scores follow from.
fn convolution(model: &Model, scores: &str) -> Option<Layer> {
    let (graph, index) = (model.graph(), model.index());
    let mut value = scores;
    loop {
        let node = &graph.node[index.maker(value)?];
        match node.op() {
            "Resize" | "Upsample" | "Transpose" | "Reshape" | "Identity" | "Squeeze" | "Unsqueeze" => {
                value = node.input(0)?;
            }
            _ => return Layer::of(model, value),
        }
    }
}

impl Maps {
    /// Height and width of the scores.
    fn sides(&self, scores: &Tensor) -> [usize; 2] {
        let [_, a, b, c] = scores.sides();
        if self.channels_last { [a, b] } else { [b, c] }
    }

    /// The target of each score.
    fn wanted(&self, targets: &[Target], [h, w]: [usize; 2]) -> Vec<usize> {
        let (wide, high) = (self.input.width as usize, self.input.height as usize);
        let mut wanted = Vec::with_capacity(targets.len() * h * w);
        for target in targets {
            for y in 0..h {
                let row = (2 * y + 1) * high / (2 * h) * wide;
                wanted.extend((0..w).map(|x| {
                    let class = target.map.get(row + (2 * x + 1) * wide / (2 * w));
                    usize::from(class.copied().unwrap_or(UNLABELLED))
                }));
            }
        }
        wanted
    }
}

impl Head for Maps {
    fn outputs(&self) -> &[String] {
        &self.outputs
    }

    fn last(&self) -> &BTreeSet<String> {
        &self.last
    }

    fn loss(&self, outputs: &[&Tensor], targets: &[Target]) -> Loss {
        let scores = outputs[0];
        let [h, w] = self.sides(scores);
        let (places, count) = (h * w, targets.len());
        let wanted = self.wanted(targets, [h, w]);
        let mut gradient = vec![0.0; scores.values.len()];
        if self.single {
            let used: Vec<usize> = (0..count * places).filter(|at| wanted[*at] < 2).collect();
            let logits: Vec<f32> = used.iter().map(|at| scores.values[*at]).collect();
            let real: Vec<f32> = used.iter().map(|at| wanted[*at] as f32).collect();
            let (losses, each) = binary(&logits, &real, &[]);
            let total = used.len().max(1) as f64;
            used.iter().zip(each).for_each(|(at, g)| gradient[*at] = (f64::from(g) / total) as f32);
            let loss = losses.iter().sum::<f64>() / total;
            return Loss { parts: vec![("pixels", loss)], gradients: vec![gradient] };
        }
        let classes = self.classes;
        let used = count * places * classes;
        let loss = if self.channels_last {
            // The loss takes classes first.
            let place = |at: usize| {
                let (picture, class, pixel) = (at / (classes * places), at / places % classes, at % places);
                (picture * places + pixel) * classes + class
            };
            let turned: Vec<f32> = (0..used).map(|at| scores.values[place(at)]).collect();
            let (loss, each) = self.loss.mean(&turned, [count, classes, places], &wanted);
            each.iter().enumerate().for_each(|(at, g)| gradient[place(at)] = *g);
            loss
        } else {
            let (loss, each) = self.loss.mean(&scores.values[..used], [count, classes, places], &wanted);
            gradient[..used].copy_from_slice(&each);
            loss
        };
        Loss { parts: vec![("pixels", loss)], gradients: vec![gradient] }
    }

    fn lines(&self, model: &str, _least: Option<f64>) -> Vec<(&'static str, String)> {
        vec![("segment", format!("{{ model: {model} }}"))]
    }

    fn metric_name(&self) -> &'static str {
        "miou"
    }

    fn metric(&self, measured: &Measured) -> Option<f64> {
        measured.segmentation.as_ref().and_then(|found| found.confusion.mean_iou())
    }
}
