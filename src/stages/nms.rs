//! Thins overlapping detections (greedy non-maximum suppression).

use crate::error::{Error, Result};
use crate::ops::nms::{Nms as Worker, Scope};
use crate::stage::{Env, Stage, StageConfig};
use crate::types::{Detection, Packet, Pool, Products};
use serde::Deserialize;

/// Keeps one box an object: of boxes that overlap, the one with the best score.
///
/// `- nms: { iou: 0.5 }`
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Nms {
    /// Of two boxes that overlap by more than this IoU (0–1), only the better stays.
    #[serde(default = "default_iou")]
    pub iou: f32,
    /// Whether boxes of different classes suppress each other too.
    #[serde(default)]
    pub across_classes: bool,
    /// At most so many boxes stay.
    #[serde(default = "default_max")]
    pub max: usize,
}

const fn default_iou() -> f32 {
    0.5
}

const fn default_max() -> usize {
    300
}

impl StageConfig for Nms {
    fn needs(&self) -> Products {
        Products::DETECTIONS
    }

    fn gives(&self) -> Products {
        Products::DETECTIONS
    }

    fn check(&self, _env: &Env) -> Result<()> {
        if (0.0..=1.0).contains(&self.iou) && self.max > 0 {
            return Ok(());
        }
        Err(Error::Config(format!(
            "`iou` is {}, `max` is {}; `iou` must lie between 0 and 1, `max` be above 0",
            self.iou, self.max
        )))
    }

    fn build(&self, _env: &Env) -> Result<Box<dyn Stage>> {
        Ok(Box::new(Thinning { settings: self.clone(), worker: Worker::default(), kept: Pool::new() }))
    }
}

struct Thinning {
    settings: Nms,
    worker: Worker,
    kept: Pool<Vec<Detection>>,
}

impl Stage for Thinning {
    fn process(&mut self, mut packet: Packet) -> Result<Option<Packet>> {
        let Some(found) = &packet.detections else { return Ok(Some(packet)) };
        let scope = if self.settings.across_classes { Scope::All } else { Scope::Class };
        let keep = self.worker.greedy(found, self.settings.iou, scope, self.settings.max);
        let kept = self.kept.fill(|kept| {
            kept.clear();
            kept.extend(keep.iter().map(|&index| found[index as usize].clone()));
            Ok::<(), Error>(())
        })?;
        packet.detections = Some(kept);
        Ok(Some(packet))
    }
}
