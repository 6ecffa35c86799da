//! Classifiers: softmax cross-entropy, or one sigmoid for each class.

use super::head::{Head, Loss};
use super::linear::{Layer, Start, follow, output_of};
use crate::error::{Error, Result};
use crate::eval::measure::Measured;
use crate::infer::Card;
use crate::models::classifier::{Classifier, Scores};
use crate::onnx::Model;
use crate::train::data::Target;
use crate::train::engine::Tensor;
use crate::train::loss::{CrossEntropy, binary};
use crate::train::recipe::Written;
use std::collections::BTreeSet;

struct Classes {
    outputs: Vec<String>,
    last: BTreeSet<String>,
    /// Whether each class has a sigmoid of its own.
    sigmoid: bool,
    /// Whether there is a single logit, for the second class.
    single: bool,
    loss: CrossEntropy,
}

/// Finds the last layer, and gives it the classes.
///
/// # Errors
/// [`Error::Model`] if the graph does not end in a linear layer.
pub fn attach(
    spec: &Classifier,
    written: &Written,
    card: &Card,
    model: &mut Model,
    classes: &[String],
    counts: &[u64],
) -> Result<Box<dyn Head>> {
    let settings = &written.recipe.heads;
    if let Some(at) = counts.iter().position(|count| *count == 0) {
        let message = format!("no training picture of class `{}`; add some, or leave it out of `classes`", classes[at]);
        return Err(Error::Data(message));
    }
    if classes.len() < 2 {
        let found = classes.join(", ");
        return Err(Error::Data(format!(
            "there is one class, {found}: nothing to tell apart; give a folder for each class"
        )));
    }
    let output = output_of(card, model, spec.output)?;
    let layer = Layer::find(model, &output).ok_or_else(|| {
        Error::Model(format!("model `{}`: its output `{output}` does not follow from one linear layer", card.name))
    })?;
    let single = matches!(spec.scores, Scores::Binary | Scores::BinaryProbability);
    if single && classes.len() != 2 {
        let count = classes.len();
        return Err(Error::Model(format!(
            "model `{}` tells two classes apart by one number, and the set has {count} classes; start from a model with a number for each class",
            card.name
        )));
    }
    let own: Vec<Option<usize>> = if settings.fresh || single && *classes != *card.labels {
        vec![None; if single { 1 } else { classes.len() }]
    } else if single {
        vec![Some(0)]
    } else {
        classes.iter().map(|name| card.labels.iter().position(|known| known == name)).collect()
    };
    let old = layer.reclass(model, &own, &Start { seed: written.recipe.schedule.seed, bias: 0.0 })?;
    follow(model, &layer.logits, old, own.len());
    let mean = counts.iter().sum::<u64>() as f64 / counts.len().max(1) as f64;
    let weights =
        if settings.balance { counts.iter().map(|count| (mean / *count as f64) as f32).collect() } else { Vec::new() };
    Ok(Box::new(Classes {
        outputs: vec![layer.logits.clone()],
        last: layer.weights(),
        sigmoid: spec.scores == Scores::Sigmoid || single,
        single,
        loss: CrossEntropy { weights, ignore: None, smoothing: settings.smoothing },
    }))
}

impl Head for Classes {
    fn outputs(&self) -> &[String] {
        &self.outputs
    }

    fn last(&self) -> &BTreeSet<String> {
        &self.last
    }

    fn loss(&self, outputs: &[&Tensor], targets: &[Target]) -> Loss {
        let logits = outputs[0];
        let batch = logits.shape[0];
        let classes = logits.values.len() / batch.max(1);
        let used = targets.len() * classes;
        let real: Vec<usize> = targets.iter().map(|target| target.class.unwrap_or_default()).collect();
        let mut gradient = vec![0.0; logits.values.len()];
        let loss = if self.sigmoid {
            let hot = |at: usize| {
                let (picture, class) = (at / classes, at % classes);
                let is = if self.single { real[picture] == 1 } else { real[picture] == class };
                f32::from(u8::from(is)) * (1.0 - self.loss.smoothing) + self.loss.smoothing / 2.0
            };
            let wanted: Vec<f32> = (0..used).map(hot).collect();
            let weights = if self.single { &[] } else { self.loss.weights.as_slice() };
            let (losses, each) = binary(&logits.values[..used], &wanted, weights);
            let count = targets.len().max(1) as f64;
            gradient.iter_mut().zip(each).for_each(|(to, g)| *to = (f64::from(g) / count) as f32);
            losses.iter().sum::<f64>() / count
        } else {
            let (loss, each) = self.loss.mean(&logits.values[..used], [targets.len(), classes, 1], &real);
            gradient[..used].copy_from_slice(&each);
            loss
        };
        Loss { parts: vec![("class", loss)], gradients: vec![gradient] }
    }

    fn lines(&self, model: &str, _least: Option<f64>) -> Vec<(&'static str, String)> {
        vec![("classify", format!("{{ model: {model} }}"))]
    }

    fn metric_name(&self) -> &'static str {
        "top1"
    }

    fn metric(&self, measured: &Measured) -> Option<f64> {
        measured.classification.as_ref().and_then(|c| c.top.top1())
    }
}
