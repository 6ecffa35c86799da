//! Classifies a frame, and shows where the classifier looked.

use super::checks::{check_score, check_threads, input_of};
use crate::error::{Error, Result};
use crate::infer::{Card, Extra, InputForm, Session};
use crate::models::{self, classifier};
use crate::onnx::head::{self, Head};
use crate::ops::cam;
use crate::stage::{Emitter, Env, LineEnv, Stage, StageConfig};
use crate::types::{Class, Found, Heatmap, Maker, ModelInput, Packet, Pool, Products, Size};
use crate::yaml::nearest;
use serde::Deserialize;
use std::sync::Arc;

/// Classifies the frame and shows where the classifier looked, in one run of the model: a class activation map.
/// `annotate` draws the map in colours.
///
/// `- cam: { model: mobilenet_v2 }`
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cam {
    /// Name of the model: a folder with a `card.yaml`.
    pub model: String,
    /// How the map is computed.
    #[serde(default)]
    pub method: Method,
    /// The label to explain; if not given, the best answer of each frame.
    #[serde(default)]
    pub class: Option<String>,
    /// Name of the value in the graph that holds the features, if it cannot be found automatically.
    #[serde(default)]
    pub features: Option<String>,
    /// Maximum number of answers per frame.
    #[serde(default = "default_top")]
    pub top: usize,
    /// Minimum score (0–1) of an answer.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub min_score: f32,
    /// Number of threads that work on one frame. If not given: the processors divided by the lines with a model, at most 4.
    #[serde(default)]
    #[schemars(range(min = 1, max = 64))]
    pub threads: Option<usize>,
}

/// How a map is computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// `cam` if the graph ends in an average and one linear layer, otherwise `eigen`.
    #[default]
    Auto,
    /// The features weighted by the last layer (Zhou et al. 2016): no cost beyond the answer itself.
    Cam,
    /// The features weighted by the score of the class when only they are shown (Wang et al. 2020): one more run of the
    /// model for each channel of the features. Meant for inspecting single pictures.
    Score,
    /// The first principal component of the features (Muhammad and Yeasin 2020): the same for every class.
    Eigen,
}

const fn default_top() -> usize {
    5
}

/// What a graph provides for maps.
struct Offer {
    head: Option<Head>,
    features: String,
    channels_last: bool,
    method: Method,
}

impl Cam {
    fn offer(&self, card: &Card, session: &Session) -> Result<Offer> {
        let model = &session.plan().model;
        let family = models::classifier(card)?;
        let output = session.plan().outputs.get(family.output).cloned().unwrap_or_default();
        let head = head::find(model, &output).filter(|head| head.classes == card.labels.len());
        let (features, channels_last) = match (&self.features, &head) {
            (Some(name), _) if model.index().maker(name).is_some() => (name.clone(), false),
            (Some(name), _) => {
                let graph = model.graph();
                let all = graph.node.iter().flat_map(|n| n.output.iter().map(String::as_str));
                let hint = nearest(name, all).map_or(String::new(), |near| format!("; did you mean `{near}`?"));
                return Err(Error::Config(format!("model `{}` has no value `{name}`{hint}", self.model)));
            }
            (None, Some(head)) => (head.features.clone(), head.channels_last),
            (None, None) => head::last_map(model).ok_or_else(|| {
                Error::Config(format!("no feature map was found in model `{}`; name it with `features:`", self.model))
            })?,
        };
        // The weights of the head belong to its own features only.
        let head = head.filter(|head| head.features == features);
        let method = match self.method {
            Method::Auto if head.is_some() => Method::Cam,
            Method::Auto => Method::Eigen,
            Method::Cam if head.is_none() => {
                return Err(Error::Config(format!(
                    "model `{}` does not end in an average over a map and one linear layer, which `method: cam` needs; \
                     use `eigen` or `score`",
                    self.model
                )));
            }
            other => other,
        };
        Ok(Offer { head, features, channels_last, method })
    }

    fn number(&self, card: &Card) -> Result<Option<u16>> {
        let Some(class) = &self.class else { return Ok(None) };
        let number = card.labels.iter().position(|label| label == class).map(|at| Some(at as u16));
        number.ok_or_else(|| {
            let near = nearest(class, card.labels.iter().map(String::as_str));
            let hint = near.map_or(String::new(), |near| format!("; did you mean `{near}`?"));
            Error::Config(format!("model `{}` has no class `{class}`{hint}", self.model))
        })
    }
}

impl StageConfig for Cam {
    fn needs(&self) -> Products {
        Products::INPUT
    }

    fn gives(&self) -> Products {
        Products::CLASSES | Products::HEATMAP
    }

    fn model(&self) -> Option<&str> {
        Some(&self.model)
    }

    fn takes_input(&self, env: &Env) -> Result<Option<(String, InputForm)>> {
        Ok(Some((self.model.clone(), env.models.card(&self.model)?.fields.input.form())))
    }

    fn check(&self, env: &Env) -> Result<()> {
        check_score("min_score", self.min_score)?;
        check_threads(self.threads)?;
        let card = env.models.card(&self.model)?;
        self.number(&card)?;
        models::classifier(&card).map(|_| ())
    }

    fn set_threads(&mut self, threads: usize) {
        self.threads = Some(threads);
    }

    fn build(&self, env: &LineEnv) -> Result<Box<dyn Stage>> {
        let card = env.models.card(&self.model)?;
        // The graph is inspected first, then run with its features as one more output.
        let offer = self.offer(&card, &env.models.session(&card, &Extra::default(), 1)?)?;
        let extra = Extra { values: vec![offer.features.clone()] };
        Ok(Box::new(Explaining {
            settings: self.clone(),
            session: env.models.session(&card, &extra, self.threads.unwrap_or(env.threads))?,
            family: models::classifier(&card)?,
            class: self.number(&card)?,
            by: Maker::new(&card.name, Arc::clone(&card.labels)),
            offer,
            buffer: classifier::Buffer::default(),
            features: Vec::new(),
            planes: Vec::new(),
            classes: Pool::new(),
            heatmaps: Pool::new(),
        }))
    }
}

struct Explaining {
    settings: Cam,
    session: Session,
    family: classifier::Classifier,
    class: Option<u16>,
    by: Arc<Maker>,
    offer: Offer,
    buffer: classifier::Buffer,
    features: Vec<f32>,
    planes: Vec<f32>,
    classes: Pool<Vec<Class>>,
    heatmaps: Pool<Heatmap>,
}

impl Stage for Explaining {
    fn process(&mut self, mut packet: Packet, out: &mut Emitter) -> Result<()> {
        let input = Arc::clone(input_of(&packet)?);
        let source = Arc::clone(&packet.frame.source);
        self.session.run(&source, &input.image)?;
        self.family.scores(&self.session, self.by.labels.len(), &mut self.buffer)?;
        let (buffer, Cam { top, min_score, .. }) = (&mut self.buffer, &self.settings);
        let classes = self.classes.fill(|best| {
            buffer.top(*top, *min_score, best);
            Ok::<(), Error>(())
        })?;
        let best = buffer.scores.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1).then(b.0.cmp(&a.0)));
        let class = self.class.unwrap_or(best.map_or(0, |(at, _)| at as u16));
        let size = self.read_features()?;
        packet.heatmap = Some(Found::new(self.explain(&source, &input, class, size)?, &self.by));
        packet.classes = Some(Found::new(classes, &self.by));
        out.emit(packet);
        Ok(())
    }
}

impl Explaining {
    /// Reads the features as planes; returns the size of the map.
    fn read_features(&mut self) -> Result<Size> {
        let output = self.session.output_named(&self.offer.features)?;
        let shape = output.shape().to_vec();
        output.read(1.0, 0, &mut self.features)?;
        let wanted = self.offer.head.as_ref().map(|head| head.channels);
        let (channels, height, width) = match (shape.as_slice(), self.offer.channels_last) {
            ([1, k, h, w], false) | ([1, h, w, k], true) if wanted.is_none_or(|wanted| wanted == *k) => (*k, *h, *w),
            _ => {
                return Err(Error::Model(format!(
                    "model `{}`: the features `{}` have shape {shape:?}, which is not a map that its last layer averages; \
                     use `method: eigen`",
                    self.session.name(),
                    self.offer.features
                )));
            }
        };
        if self.offer.channels_last {
            self.planes.clear();
            let plane = height * width;
            self.planes.extend((0..channels * plane).map(|at| self.features[at % plane * channels + at / plane]));
            std::mem::swap(&mut self.planes, &mut self.features);
        }
        Ok(Size::new(width as u32, height as u32))
    }

    fn explain(&mut self, source: &Arc<str>, input: &ModelInput, class: u16, size: Size) -> Result<Arc<Heatmap>> {
        let Self { session, family, by, buffer, features, offer, .. } = self;
        self.heatmaps.fill(|map| {
            let values = &mut map.values;
            match (offer.method, &offer.head) {
                (Method::Cam | Method::Auto, Some(head)) => {
                    let row = usize::from(class) * head.channels;
                    cam::zhou(features, &head.weights[row..row + head.channels], values);
                }
                (Method::Score, _) => {
                    let forward = |mask: &[f32]| {
                        session.run_masked(source, &input.image, mask)?;
                        family.raw(&*session, by.labels.len(), buffer)?;
                        Ok::<f32, Error>(buffer.scores[usize::from(class)])
                    };
                    let side = input.image.size;
                    let side = (side.width as usize, side.height as usize);
                    cam::score(features, (size.width as usize, size.height as usize), side, forward, values)?;
                }
                _ => cam::eigen(features, features.len() / size.pixels().max(1), values),
            }
            map.range = cam::to_unit(&mut map.values);
            map.size = size;
            map.class = (offer.method != Method::Eigen).then_some(class);
            (map.input, map.placement) = (input.image.size, input.placement);
            Ok::<(), Error>(())
        })
    }
}
