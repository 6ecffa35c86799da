//! Resizes frames to the size that a model expects.

use crate::error::{Error, Result};
use crate::infer::InputForm;
use crate::ops::resize::{Filter, Fit, Resize as Resizer, plan};
use crate::stage::{Emitter, Env, LineEnv, Stage, StageConfig};
use crate::types::{ModelInput, Packet, Pool, Products, Size};
use serde::Deserialize;

/// Makes the model input: the frame at another size, with the mapping back for boxes. `for:` takes size, fit, filter
/// and padding from a model's card; the other settings set them by hand.
///
/// `- resize: { for: ssd_mobilenet_v1 }` or `- resize: { size: [320, 320], fit: letterbox }`
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Resize {
    /// Name of the model whose card provides all settings.
    #[serde(default, rename = "for")]
    pub model: Option<String>,
    /// Width and height in pixels.
    #[serde(default)]
    pub size: Option<Size>,
    /// How a frame with another aspect ratio is fitted into the input.
    #[serde(default)]
    pub fit: Option<Fit>,
    /// How pixels are weighted; the filters are named after the programs whose numbers they reproduce.
    #[serde(default)]
    pub filter: Option<Filter>,
    /// Level (0–255) of the area that a letterbox leaves empty.
    #[serde(default)]
    pub pad: Option<u8>,
}

/// What the settings resolve to.
#[derive(Clone, Copy)]
struct Target {
    size: Size,
    fit: Fit,
    filter: Filter,
    pad: u8,
}

impl Resize {
    /// Creates the input of a model as its card specifies it.
    #[must_use]
    pub fn for_model(model: &str) -> Self {
        Self { model: Some(model.to_owned()), size: None, fit: None, filter: None, pad: None }
    }

    fn target(&self, env: &Env) -> Result<Target> {
        let by_hand = self.size.is_some() || self.fit.is_some() || self.filter.is_some() || self.pad.is_some();
        match (&self.model, self.size) {
            (Some(_), _) if by_hand => Err(Error::Config(
                "`for` takes size, fit, filter and pad from the model's card; remove them, or `for`".into(),
            )),
            (Some(model), _) => {
                let input = env.models.card(model)?.fields.input;
                Ok(Target { size: input.size, fit: input.fit, filter: input.filter, pad: input.pad })
            }
            (None, Some(size)) => Ok(Target {
                size,
                fit: self.fit.unwrap_or_default(),
                filter: self.filter.unwrap_or_default(),
                pad: self.pad.unwrap_or(114),
            }),
            (None, None) => Err(Error::Config("give `for: MODEL` or `size: [WIDTH, HEIGHT]`".into())),
        }
    }

    fn check_fit(target: &Target) -> Result<()> {
        target.fit.check(target.size).map_err(|e| Error::Config(format!("`fit.crop_from` is {e}")))
    }
}

impl StageConfig for Resize {
    fn needs(&self) -> Products {
        Products::empty()
    }

    fn gives(&self) -> Products {
        Products::INPUT
    }

    fn makes_input(&self, env: &Env) -> Result<Option<InputForm>> {
        let Some(model) = &self.model else {
            let target = self.target(env)?;
            Self::check_fit(&target)?;
            return Ok(Some(InputForm::of_size(target.size)));
        };
        self.target(env)?;
        Ok(Some(env.models.card(model)?.fields.input.form()))
    }

    fn build(&self, env: &LineEnv) -> Result<Box<dyn Stage>> {
        Ok(Box::new(Resizing { target: self.target(env)?, resizer: Resizer::default(), inputs: Pool::new() }))
    }
}

struct Resizing {
    target: Target,
    resizer: Resizer,
    inputs: Pool<ModelInput>,
}

impl Stage for Resizing {
    fn process(&mut self, mut packet: Packet, out: &mut Emitter) -> Result<()> {
        let Target { size, fit, filter, pad } = self.target;
        let image = &packet.frame.image;
        let plan = plan(image.size, size, fit);
        let input = self.inputs.fill(|input| {
            input.placement = plan.placement;
            self.resizer.apply(image, &plan, filter, pad, &mut input.image)
        })?;
        packet.input = Some(input);
        out.emit(packet);
        Ok(())
    }
}
