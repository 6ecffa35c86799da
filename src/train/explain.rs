//! Why a classifier answers as it does, from the gradient of its answer: Grad-CAM and its relatives. The numbers are those of
//! pytorch-grad-cam 1.5.7.

use super::engine::Net;
use super::heads::output_of;
use crate::error::{Error, Result};
use crate::infer::{Card, Extra, Plan, Session};
use crate::models::classifier;
use crate::onnx::{Model, head};
use crate::ops::cam::zhou;
use crate::types::{Image, Size};
use std::sync::Arc;

/// How features and their gradients become a map.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Method {
    /// Each feature times its mean gradient (Selvaraju et al. 2017, Grad-CAM, §3)
    #[default]
    Gradcam,
    /// Positive gradients, weighted by how much each place contributes (Chattopadhay et al. 2018, Grad-CAM++, §3)
    #[value(name = "gradcam++")]
    GradcamPlusPlus,
    /// Each feature times its gradient, normalised by its sum (Fu et al. 2020, XGrad-CAM, §3)
    Xgradcam,
    /// Each place of each feature times its own positive gradient (Jiang et al. 2021, LayerCAM, §3)
    Layercam,
}

/// The map of features `[K, H, W]` and their gradients; negative values speak against the class.
#[must_use]
pub fn weigh(method: Method, features: &[f32], gradients: &[f32], channels: usize) -> Vec<f32> {
    let plane = (features.len() / channels.max(1)).max(1);
    let pairs = || features.chunks_exact(plane).zip(gradients.chunks_exact(plane));
    let sum = |values: &[f32]| values.iter().map(|v| f64::from(*v)).sum::<f64>();
    let weight = |(feature, gradient): (&[f32], &[f32])| -> f32 {
        let both = feature.iter().zip(gradient).map(|(a, g)| (f64::from(*a), f64::from(*g)));
        let weight = match method {
            Method::Gradcam | Method::Layercam => sum(gradient) / plane as f64,
            Method::Xgradcam => both.map(|(a, g)| a * g).sum::<f64>() / (sum(feature) + 1e-7),
            Method::GradcamPlusPlus => {
                let all = sum(feature);
                let place = |g: f64| if g == 0.0 { 0.0 } else { g * g / (2.0 * g * g + all * g * g * g + 1e-6) };
                both.map(|(_, g)| g.max(0.0) * place(g)).sum()
            }
        };
        weight as f32
    };
    let mut map = Vec::new();
    if method == Method::Layercam {
        map.resize(plane, 0.0);
        for (feature, gradient) in pairs() {
            let both = feature.iter().zip(gradient);
            map.iter_mut().zip(both).for_each(|(sum, (a, g))| *sum += a * g.max(0.0));
        }
    } else {
        let weights: Vec<f32> = pairs().map(weight).collect();
        zhou(features, &weights, &mut map);
    }
    map
}

/// An answer, and where it comes from.
#[derive(Clone, Debug, PartialEq)]
pub struct Explained {
    /// The class that is explained.
    pub class: usize,
    /// The score of each class.
    pub scores: Vec<f32>,
    /// The map, 0 to 1; what speaks against the class is 0.
    pub map: Vec<f32>,
    /// Its size.
    pub size: Size,
    /// The largest value before it was scaled.
    pub most: f32,
}

/// A classifier that can be asked why.
pub struct Explainer {
    session: Session,
    family: classifier::Classifier,
    labels: usize,
    net: Net,
    features: String,
    logits: String,
    /// Channels, height and width of the features, and whether the channels come last.
    sides: [usize; 3],
    channels_last: bool,
}

impl Explainer {
    /// Loads a model. `features` names the value to look at; if not given, the last map in front of the average.
    ///
    /// # Errors
    /// [`Error::Model`] if the model is no classifier, or the engine has no gradient for its last layers.
    pub fn load(card: &Card, features: Option<&str>) -> Result<Self> {
        let family = crate::models::classifier(card)?;
        let mut model = card.graph()?;
        super::plan::prepare(&mut model)?;
        let output = output_of(card, &model, family.output)?;
        let found = head::find(&model, &output).map(|head| (head.features, head.channels_last));
        let (name, channels_last) = match features {
            Some(name) => (name.to_owned(), found.is_some_and(|(own, last)| own == name && last)),
            None => found.or_else(|| head::last_map(&model)).ok_or_else(|| {
                let message = "no feature map was found in it; name one with --features";
                Error::Model(format!("model `{}`: {message}", card.name))
            })?,
        };
        if model.index().maker(&name).is_none() {
            return Err(Error::Config(format!("model `{}` has no value `{name}`", card.name)));
        }
        let logits = before_scores(&model, &output);
        let extra = Extra { values: vec![name.clone()] };
        let mut session = Session::of(card, Arc::new(Plan::load(card, &extra)?), 1)?;
        session.run(&Arc::from(""), &Image::new(card.fields.input.size, crate::types::PixelFormat::Rgb8))?;
        let shape = session.output_named(&name)?.shape().to_vec();
        let sides = match (shape.as_slice(), channels_last) {
            ([1, k, h, w], false) | ([1, h, w, k], true) => [*k, *h, *w],
            _ => {
                return Err(Error::Model(format!(
                    "model `{}`: `{name}` has the shape {shape:?}, which is no map",
                    card.name
                )));
            }
        };
        let net = Net::build(&model, &[(&name, &shape)], &[&logits], &|value| value == name)?;
        Ok(Self { session, family, labels: card.labels.len(), net, features: name, logits, sides, channels_last })
    }

    /// Explains the answer to a picture of the model's input size, or a class.
    ///
    /// # Errors
    /// [`Error::Model`] if the model cannot be run.
    pub fn explain(&mut self, image: &Image, class: Option<usize>, method: Method) -> Result<Explained> {
        self.session.run(&Arc::from(""), image)?;
        let mut buffer = classifier::Buffer::default();
        self.family.scores(&self.session, self.labels, &mut buffer)?;
        let scores = buffer.scores;
        let best = scores.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1).then(b.0.cmp(&a.0)));
        let class = class.unwrap_or(best.map_or(0, |(at, _)| at));
        let mut features = Vec::new();
        self.session.output_named(&self.features)?.read(1.0, 0, &mut features)?;
        self.net.forward(&[(&self.features, &features)])?;
        let mut wanted = vec![0.0; self.net.value(&self.logits).map_or(0, |logits| logits.values.len())];
        // A single logit speaks for the second class, and against the first.
        let single = wanted.len() == 1;
        let at = if single { 0 } else { class };
        *wanted.get_mut(at).ok_or_else(|| Error::Internal("a class without a logit".into()))? =
            if single && class == 0 { -1.0 } else { 1.0 };
        let mut all = self.net.backward(&[(&self.logits, &wanted)])?;
        let mut gradients = all.remove(&self.features).unwrap_or_default();
        let [channels, height, width] = self.sides;
        if self.channels_last {
            let plane = height * width;
            let turned =
                |values: &[f32]| (0..values.len()).map(|at| values[at % plane * channels + at / plane]).collect();
            (features, gradients) = (turned(&features), turned(&gradients));
        }
        let mut map = weigh(method, &features, &gradients, channels);
        map.iter_mut().for_each(|value| *value = value.max(0.0));
        let (_, most) = crate::ops::cam::to_unit(&mut map);
        Ok(Explained { class, scores, map, size: Size::new(width as u32, height as u32), most })
    }
}

/// The value in front of the softmax or sigmoid of an output.
fn before_scores(model: &Model, output: &str) -> String {
    let (graph, index) = (model.graph(), model.index());
    let mut value = output;
    while let Some(node) = index.maker(value).map(|at| &graph.node[at]) {
        match (node.op(), node.input(0)) {
            ("Softmax" | "LogSoftmax" | "Sigmoid" | "Identity" | "Reshape" | "Squeeze" | "Flatten", Some(before)) => {
                value = before;
            }
            _ => break,
        }
    }
    value.to_owned()
}
