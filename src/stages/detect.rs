//! Finds objects with a model.

use super::checks::{check_threads, input_of};
use super::scores::MinScore;
use crate::error::{Error, Result};
use crate::infer::{Extra, InputForm, Session};
use crate::models::{self, Detector, Seen};
use crate::stage::{Emitter, Env, LineEnv, Stage, StageConfig};
use crate::types::{Details, Detection, Found, Maker, Objects, Packet, Pool, Products};
use crate::yaml::{nearest, one_of};
use serde::Deserialize;
use std::sync::Arc;

/// Finds objects: runs a model on the model input and turns its tensors into boxes on the frame. Most models return
/// several boxes per object; put `nms` below. Points, turned corners and masks come with the detections, if the model finds
/// them; a mask is computed only for an object that a row or a picture shows.
///
/// `- detect: { model: ssd_mobilenet_v1, min_score: 0.4, classes: [person] }`
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Detect {
    /// Name of the model: a folder with a `card.yaml`.
    pub model: String,
    /// Minimum score (0–1) of an answer: one for all classes, or `{ person: 0.4, car: 0.3, other: 0.5 }`.
    #[serde(default)]
    pub min_score: MinScore,
    /// Labels to keep; if not given, all.
    #[serde(default)]
    pub classes: Option<Vec<String>>,
    /// Number of threads that work on one frame. If not given: the processors divided by the lines with a model, at most 4.
    #[serde(default)]
    #[schemars(range(min = 1, max = 64))]
    pub threads: Option<usize>,
}

impl Detect {
    /// Creates a stage that finds everything that a model knows, on one thread.
    #[must_use]
    pub fn new(model: &str, min_score: f32) -> Self {
        Self { model: model.to_owned(), min_score: min_score.into(), classes: None, threads: Some(1) }
    }

    /// The class numbers to keep.
    fn kept(&self, labels: &[String]) -> Result<Option<Vec<u16>>> {
        let Some(classes) = &self.classes else { return Ok(None) };
        let number = |name: &String| {
            labels.iter().position(|label| label == name).map(|at| at as u16).ok_or_else(|| {
                let all = labels.iter().map(String::as_str);
                let hint = match nearest(name, all.clone()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None if labels.len() <= 12 => format!("it knows {}", one_of(all)),
                    None => format!("see `ocelli models info {}`", self.model),
                };
                Error::Config(format!("model `{}` has no class `{name}`; {hint}", self.model))
            })
        };
        classes.iter().map(number).collect::<Result<_>>().map(Some)
    }
}

impl StageConfig for Detect {
    fn needs(&self) -> Products {
        Products::INPUT
    }

    fn gives(&self) -> Products {
        Products::DETECTIONS
    }

    fn leaves_out(&self) -> (Option<f64>, Option<&[String]>) {
        (Some(f64::from(self.min_score.lowest())), self.classes.as_deref())
    }

    fn model(&self) -> Option<&str> {
        Some(&self.model)
    }

    fn takes_input(&self, env: &Env) -> Result<Option<(String, InputForm)>> {
        let form = env.models.card(&self.model)?.fields.input.form();
        Ok(Some((self.model.clone(), form)))
    }

    fn check(&self, env: &Env) -> Result<()> {
        self.min_score.check()?;
        check_threads(self.threads)?;
        let card = env.models.card(&self.model)?;
        models::detector(&card)?;
        self.min_score.of(&card.labels)?;
        self.kept(&card.labels).map(|_| ())
    }

    fn set_threads(&mut self, threads: usize) {
        self.threads = Some(threads);
    }

    fn build(&self, env: &LineEnv) -> Result<Box<dyn Stage>> {
        let card = env.models.card(&self.model)?;
        Ok(Box::new(Detecting {
            session: env.models.session(&card, &Extra::default(), self.threads.unwrap_or(env.threads))?,
            detector: models::detector(&card)?,
            min_score: self.min_score.lowest(),
            least: self.min_score.of(&card.labels)?,
            kept: self.kept(&card.labels)?,
            by: Maker::new(&card.name, Arc::clone(&card.labels)),
            found: Pool::new(),
            details: Pool::new(),
        }))
    }
}

struct Detecting {
    session: Session,
    detector: Box<dyn Detector>,
    min_score: f32,
    /// By class; empty if all have the same.
    least: Vec<f32>,
    kept: Option<Vec<u16>>,
    by: Arc<Maker>,
    found: Pool<Vec<Detection>>,
    details: Pool<Details>,
}

impl Stage for Detecting {
    fn process(&mut self, mut packet: Packet, out: &mut Emitter) -> Result<()> {
        let input = input_of(&packet)?;
        let seen = Seen { source: &packet.frame.source, input };
        let found = self.found.fill(|found| {
            found.clear();
            self.detector.detect(&mut self.session, seen, self.min_score, found)?;
            // A broken network can return boxes with NaN or infinite numbers.
            found.retain(Detection::is_finite);
            if !self.least.is_empty() {
                found.retain(|d| self.least.get(usize::from(d.class)).is_none_or(|least| d.score >= *least));
            }
            if let Some(kept) = &self.kept {
                found.retain(|detection| kept.contains(&detection.class));
            }
            Ok::<(), Error>(())
        })?;
        let details = match self.detector.details() {
            None => None,
            Some(said) => Some(self.details.fill(|slot| {
                std::mem::swap(slot, said);
                Ok::<(), Error>(())
            })?),
        };
        packet.detections = Some(Found::new(Objects::new(found, details), &self.by));
        out.emit(packet);
        Ok(())
    }
}
