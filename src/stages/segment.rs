//! Classifies each pixel.

use super::checks::{check_threads, input_of};
use crate::error::Result;
use crate::infer::{Extra, InputForm, Session};
use crate::models::{self, segmentation::Segmenter};
use crate::stage::{Emitter, Env, LineEnv, Stage, StageConfig};
use crate::types::{Found, Maker, Mask, Packet, Pool, Products};
use serde::Deserialize;
use std::sync::Arc;

/// Assigns a class to each pixel of the frame. `annotate` draws the classes in colours, `snapshot: { of: mask }` writes
/// them.
///
/// `- segment: { model: deeplab_v3 }`
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Segment {
    /// Name of the model: a folder with a `card.yaml`.
    pub model: String,
    /// Number of threads that work on one frame. If not given: the processors divided by the lines with a model, at most 4.
    #[serde(default)]
    #[schemars(range(min = 1, max = 64))]
    pub threads: Option<usize>,
}

impl StageConfig for Segment {
    fn needs(&self) -> Products {
        Products::INPUT
    }

    fn gives(&self) -> Products {
        Products::MASK
    }

    fn model(&self) -> Option<&str> {
        Some(&self.model)
    }

    fn takes_input(&self, env: &Env) -> Result<Option<(String, InputForm)>> {
        Ok(Some((self.model.clone(), env.models.card(&self.model)?.fields.input.form())))
    }

    fn check(&self, env: &Env) -> Result<()> {
        check_threads(self.threads)?;
        let card = env.models.card(&self.model)?;
        Segmenter::new(models::segmentation(&card)?, &card).map(|_| ())
    }

    fn set_threads(&mut self, threads: usize) {
        self.threads = Some(threads);
    }

    fn build(&self, env: &LineEnv) -> Result<Box<dyn Stage>> {
        let card = env.models.card(&self.model)?;
        Ok(Box::new(Segmenting {
            session: env.models.session(&card, &Extra::default(), self.threads.unwrap_or(env.threads))?,
            segmenter: Segmenter::new(models::segmentation(&card)?, &card)?,
            by: Maker::new(&card.name, Arc::clone(&card.labels)),
            masks: Pool::new(),
        }))
    }
}

struct Segmenting {
    session: Session,
    segmenter: Segmenter,
    by: Arc<Maker>,
    masks: Pool<Mask>,
}

impl Stage for Segmenting {
    fn process(&mut self, mut packet: Packet, out: &mut Emitter) -> Result<()> {
        let input = input_of(&packet)?;
        self.session.run(&packet.frame.source, &input.image)?;
        let (session, segmenter) = (&self.session, &mut self.segmenter);
        let mask = self.masks.fill(|mask| segmenter.segment(session, &input.placement, mask))?;
        packet.mask = Some(Found::new(mask, &self.by));
        out.emit(packet);
        Ok(())
    }
}
