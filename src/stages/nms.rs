//! Removes overlapping detections (non-maximum suppression).

use crate::error::{Error, Result};
use crate::ops::nms::{Decay, Nms as Worker, Scope};
use crate::stage::{Emitter, Env, LineEnv, Stage, StageConfig};
use crate::types::{Detection, Found, Packet, Pool, Products};
use serde::Deserialize;

/// Keeps one box per object: of boxes that overlap, the one with the best score. With `soft`, boxes that overlap a
/// better one are not dropped, but their scores are lowered: useful for crowds, where people stand in front of each
/// other. Turned boxes are compared by their probabilistic IoU, as in Ultralytics.
///
/// `- nms: { iou: 0.5 }` or `- nms: { soft: gaussian, min_score: 0.3 }`
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Nms {
    /// Of two boxes that overlap by more than this IoU (0–1), only the better stays.
    #[serde(default = "default_iou")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub iou: f32,
    /// Whether boxes of different classes suppress each other too.
    #[serde(default)]
    pub across_classes: bool,
    /// Maximum number of boxes to keep.
    #[serde(default = "default_max")]
    #[schemars(range(min = 1))]
    pub max: usize,
    /// Lower scores instead of dropping boxes; `iou` then applies to `linear` only.
    #[serde(default)]
    pub soft: Option<Soft>,
    /// For `soft: gaussian` and `gaussian_half`: smaller values lower scores more.
    #[serde(default = "default_sigma")]
    pub sigma: f32,
    /// For `soft`: boxes whose score falls below this are dropped.
    #[serde(default = "default_min_score")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub min_score: f32,
}

/// Formulas of soft NMS; `o` is the IoU with a better box (Bodla et al. 2017).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Soft {
    /// `score * (1 - o)` above `iou`.
    Linear,
    /// `score * exp(-o² / sigma)`, as in the paper and in OpenCV.
    Gaussian,
    /// `score * exp(-o² / (2 sigma))`, as in TensorFlow.
    GaussianHalf,
}

const fn default_sigma() -> f32 {
    0.5
}

const fn default_min_score() -> f32 {
    0.3
}

const fn default_iou() -> f32 {
    0.5
}

const fn default_max() -> usize {
    300
}

impl Default for Nms {
    fn default() -> Self {
        Self {
            iou: default_iou(),
            across_classes: false,
            max: default_max(),
            soft: None,
            sigma: default_sigma(),
            min_score: default_min_score(),
        }
    }
}

impl StageConfig for Nms {
    fn needs(&self) -> Products {
        Products::DETECTIONS
    }

    fn gives(&self) -> Products {
        Products::DETECTIONS
    }

    fn check(&self, _env: &Env) -> Result<()> {
        if self.soft.is_some() && (!(0.0..=1.0).contains(&self.min_score) || self.sigma.is_nan() || self.sigma <= 0.0) {
            return Err(Error::Config(format!(
                "`min_score` is {}, `sigma` is {}; `min_score` must lie between 0 and 1, `sigma` must be above 0",
                self.min_score, self.sigma
            )));
        }
        if (0.0..=1.0).contains(&self.iou) && self.max > 0 {
            return Ok(());
        }
        Err(Error::Config(format!(
            "`iou` is {}, `max` is {}; `iou` must lie between 0 and 1, `max` must be above 0",
            self.iou, self.max
        )))
    }

    fn build(&self, _env: &LineEnv) -> Result<Box<dyn Stage>> {
        Ok(Box::new(Thinning { settings: self.clone(), worker: Worker::default(), kept: Pool::new() }))
    }
}

struct Thinning {
    settings: Nms,
    worker: Worker,
    kept: Pool<Vec<Detection>>,
}

impl Stage for Thinning {
    fn process(&mut self, mut packet: Packet, out: &mut Emitter) -> Result<()> {
        let Some(Found { items: found, by }) = packet.detections.take() else {
            out.emit(packet);
            return Ok(());
        };
        let scope = if self.settings.across_classes { Scope::All } else { Scope::Class };
        let Nms { iou, max, soft, sigma, min_score, .. } = self.settings;
        let worker = &mut self.worker;
        let kept = self.kept.fill(|kept| {
            kept.clear();
            let decay = match soft {
                None => {
                    let keep = worker.greedy(&found, iou, scope, max);
                    kept.extend(keep.iter().map(|&index| found[index as usize].clone()));
                    return Ok::<(), Error>(());
                }
                Some(Soft::Linear) => Decay::Linear { threshold: iou },
                Some(Soft::Gaussian) => Decay::Gaussian { sigma },
                Some(Soft::GaussianHalf) => Decay::GaussianHalf { sigma },
            };
            let keep = worker.soft(&found, decay, min_score, scope, max);
            kept.extend(keep.iter().map(|&(index, score)| Detection { score, ..found[index as usize].clone() }));
            Ok(())
        })?;
        packet.detections = Some(Found { items: found.with(kept), by });
        out.emit(packet);
        Ok(())
    }
}
