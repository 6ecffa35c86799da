//! Classifies a frame, or each box in it.

use super::checks::{check_score, check_threads, input_of};
use crate::error::{Error, Result};
use crate::infer::{Extra, InputForm, InputSpec, Session};
use crate::models::{self, classifier};
use crate::ops::resize::{Resize, plan_of};
use crate::stage::{Emitter, Env, LineEnv, Stage, StageConfig};
use crate::types::{Class, Detection, Found, Image, Kind, Maker, Packet, Pool, Products};
use serde::Deserialize;
use std::sync::Arc;

/// Classifies: runs a classifier on the model input, or on each box of a detector above.
///
/// `- classify: { model: mobilenet_v2, top: 3 }` or `- classify: { model: age, each: box }`
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Classify {
    /// Name of the model: a folder with a `card.yaml`.
    pub model: String,
    /// Maximum number of answers per frame; a box gets only its best one.
    #[serde(default = "default_top")]
    #[schemars(range(min = 1))]
    pub top: usize,
    /// Minimum score (0–1) of an answer.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub min_score: f32,
    /// What to classify: the whole frame (put `resize: { for: MODEL }` above) or each box.
    #[serde(default)]
    pub each: Each,
    /// For `each: box`: how much of the surroundings of a box to include, as a fraction of its sides.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 4.0))]
    pub margin: f32,
    /// Number of threads that work on one picture. If not given: the processors divided by the lines with a model, at most 4.
    #[serde(default)]
    #[schemars(range(min = 1, max = 64))]
    pub threads: Option<usize>,
}

/// What to classify.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Each {
    /// The whole frame.
    #[default]
    Frame,
    /// The content of each box that was found.
    Box,
}

const fn default_top() -> usize {
    5
}

impl StageConfig for Classify {
    fn needs(&self) -> Products {
        match self.each {
            Each::Frame => Products::INPUT,
            Each::Box => Products::DETECTIONS,
        }
    }

    fn gives(&self) -> Products {
        match self.each {
            Each::Frame => Products::CLASSES,
            Each::Box => Products::DETECTIONS,
        }
    }

    fn model(&self) -> Option<&str> {
        Some(&self.model)
    }

    fn takes_input(&self, env: &Env) -> Result<Option<(String, InputForm)>> {
        let form = env.models.card(&self.model)?.fields.input.form();
        Ok((self.each == Each::Frame).then(|| (self.model.clone(), form)))
    }

    fn check(&self, env: &Env) -> Result<()> {
        check_score("min_score", self.min_score)?;
        check_threads(self.threads)?;
        if self.top == 0 || !(0.0..=4.0).contains(&self.margin) {
            return Err(Error::Config(format!(
                "`top` is {}, `margin` is {}; `top` must be above 0, `margin` must lie between 0 and 4",
                self.top, self.margin
            )));
        }
        models::classifier(&env.models.card(&self.model)?).map(|_| ())
    }

    fn set_threads(&mut self, threads: usize) {
        self.threads = Some(threads);
    }

    fn build(&self, env: &LineEnv) -> Result<Box<dyn Stage>> {
        let card = env.models.card(&self.model)?;
        Ok(Box::new(Classifying {
            settings: self.clone(),
            session: env.models.session(&card, &Extra::default(), self.threads.unwrap_or(env.threads))?,
            family: models::classifier(&card)?,
            by: Maker::new(&card.name, Arc::clone(&card.labels)),
            input: card.fields.input.clone(),
            buffer: classifier::Buffer::default(),
            resizer: Resize::default(),
            crop: Image::default(),
            best: Vec::new(),
            classes: Pool::new(),
            found: Pool::new(),
        }))
    }
}

struct Classifying {
    settings: Classify,
    session: Session,
    family: classifier::Classifier,
    by: Arc<Maker>,
    input: InputSpec,
    buffer: classifier::Buffer,
    resizer: Resize,
    crop: Image,
    best: Vec<Class>,
    classes: Pool<Vec<Class>>,
    found: Pool<Vec<Detection>>,
}

impl Stage for Classifying {
    fn process(&mut self, mut packet: Packet, out: &mut Emitter) -> Result<()> {
        let Classify { top, min_score, .. } = self.settings;
        if self.settings.each == Each::Box {
            self.boxes(&mut packet)?;
        } else {
            self.session.run(&packet.frame.source, &input_of(&packet)?.image)?;
            self.family.scores(&self.session, self.by.labels.len(), &mut self.buffer)?;
            let buffer = &mut self.buffer;
            let classes = self.classes.fill(|best| {
                buffer.top(top, min_score, best);
                Ok::<(), Error>(())
            })?;
            packet.classes = Some(Found::new(classes, &self.by));
        }
        out.emit(packet);
        Ok(())
    }
}

impl Classifying {
    fn boxes(&mut self, packet: &mut Packet) -> Result<()> {
        let Some(Found { items: before, by: detector }) = packet.detections.take() else { return Ok(()) };
        let (frame, input) = (&packet.frame, &self.input);
        let Self { session, family, by, buffer, resizer, crop, best, settings, .. } = self;
        let found = self.found.fill(|found| {
            found.clear();
            for detection in before.iter() {
                let mut detection = detection.clone();
                let b = detection.bbox;
                let (mx, my) = ((b.x2 - b.x1) * settings.margin, (b.y2 - b.y1) * settings.margin);
                let part = [b.x1 - mx, b.y1 - my, b.x2 + mx, b.y2 + my].map(f64::from);
                // A box thinner than a pixel shows nothing.
                if let Some(plan) = plan_of(frame.image.size, part, input.size, input.fit) {
                    resizer.apply(&frame.image, &plan, input.filter, input.pad, crop)?;
                    session.run(&frame.source, crop)?;
                    family.scores(&*session, by.labels.len(), buffer)?;
                    buffer.top(1, settings.min_score, best);
                    detection.kinds.extend(best.first().map(|best| Kind { by: Arc::clone(by), best: *best }));
                }
                found.push(detection);
            }
            Ok::<(), Error>(())
        })?;
        packet.detections = Some(Found { items: before.with(found), by: detector });
        Ok(())
    }
}
