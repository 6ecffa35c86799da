//! Turns a picture into a picture, or measures how badly that went.

use super::checks::{check_threads, input_of};
use crate::error::Result;
use crate::infer::{Card, Dtype, Extra, InputForm, InputSpec, Session};
use crate::models::{self, reconstruction::Reconstructor};
use crate::stage::{Emitter, Env, LineEnv, Stage, StageConfig};
use crate::types::{Found, Image, Maker, Packet, Pool, Products};
use serde::Deserialize;
use std::sync::Arc;

/// Runs a model whose output is a picture; `record` and `snapshot` then write that picture. If it is as large as the
/// input, the mean squared error goes to `jsonl` as `error`: it is high for pictures unlike those that an autoencoder
/// was trained on.
///
/// `- reconstruct: { model: fsrcnn_x2 }`
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reconstruct {
    /// Name of the model: a folder with a `card.yaml`.
    pub model: String,
    /// Number of threads that work on one frame. If not given: the processors divided by the lines with a model, at most 4.
    #[serde(default)]
    #[schemars(range(min = 1, max = 64))]
    pub threads: Option<usize>,
}

impl Reconstruct {
    fn reconstructor(card: &Card) -> Result<Reconstructor> {
        Reconstructor::new(models::reconstruction(card)?, card)
    }
}

impl StageConfig for Reconstruct {
    fn needs(&self) -> Products {
        Products::INPUT
    }

    fn gives(&self) -> Products {
        Products::CANVAS | Products::ERROR
    }

    fn model(&self) -> Option<&str> {
        Some(&self.model)
    }

    fn takes_input(&self, env: &Env) -> Result<Option<(String, InputForm)>> {
        Ok(Some((self.model.clone(), env.models.card(&self.model)?.fields.input.form())))
    }

    fn check(&self, env: &Env) -> Result<()> {
        check_threads(self.threads)?;
        Self::reconstructor(&env.models.card(&self.model)?).map(|_| ())
    }

    fn set_threads(&mut self, threads: usize) {
        self.threads = Some(threads);
    }

    fn build(&self, env: &LineEnv) -> Result<Box<dyn Stage>> {
        let card = env.models.card(&self.model)?;
        Ok(Box::new(Reconstructing {
            session: env.models.session(&card, &Extra::default(), self.threads.unwrap_or(env.threads))?,
            reconstructor: Self::reconstructor(&card)?,
            by: Maker::new(&card.name, []),
            input: card.fields.input.clone(),
            seen: Vec::new(),
            pictures: Pool::new(),
        }))
    }
}

struct Reconstructing {
    session: Session,
    reconstructor: Reconstructor,
    by: Arc<Maker>,
    input: InputSpec,
    seen: Vec<f32>,
    pictures: Pool<Image>,
}

impl Stage for Reconstructing {
    fn process(&mut self, mut packet: Packet, out: &mut Emitter) -> Result<()> {
        let input = Arc::clone(input_of(&packet)?);
        self.session.run(&packet.frame.source, &input.image)?;
        let reconstructor = &mut self.reconstructor;
        reconstructor.read(&self.session)?;
        self.session.input_values(self.input.scale.unwrap_or(1.0), self.input.zero_point, &mut self.seen)?;
        // The values of the output are not plain 8-bit levels.
        let alike = self.input.dtype == Dtype::F32 || self.input.scale.is_some();
        packet.error = reconstructor.error(&self.seen).filter(|_| alike).map(|error| Found::new(error, &self.by));
        let picture = self.pictures.fill(|picture| {
            reconstructor.picture(&input.image, picture);
            Ok::<(), crate::error::Error>(())
        })?;
        packet.canvas = Some(picture);
        out.emit(packet);
        Ok(())
    }
}
