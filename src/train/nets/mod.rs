//! Nets that are trained from scratch: one file each, one line each.

mod builder;
mod classifier;
mod detector;
mod mobilenet;
mod unet;
mod wanted;

pub use wanted::{Made, Wanted};

use crate::error::{Error, Result};
use crate::host::replace;
use crate::infer::Card;
use crate::types::Size;
use crate::yaml::{nearest, one_of};
use sha2::{Digest, Sha256};
use std::path::Path;

/// A net.
pub struct Plan {
    /// Its name in recipes.
    pub name: &'static str,
    /// What it is, in a sentence.
    pub about: &'static str,
    /// The sides of its input are multiples of this.
    pub multiple: u32,
    build: fn(&Wanted) -> Made,
}

impl Plan {
    /// Makes the graph.
    #[must_use]
    pub fn make(&self, wanted: &Wanted) -> Made {
        (self.build)(wanted)
    }
}

/// All nets.
pub const NETS: &[Plan] = &[
    Plan { name: "classifier", about: "a small classifier", multiple: 16, build: classifier::build },
    Plan { name: "detector", about: "a small YOLOX", multiple: 32, build: detector::build },
    Plan { name: "mobilenet_v2", about: "MobileNetV2, a classifier", multiple: 32, build: mobilenet::build },
    Plan { name: "unet", about: "U-Net, for class maps", multiple: 8, build: unet::build },
];

/// Finds a net.
///
/// # Errors
/// What is wrong with the name or the size.
pub fn find(name: &str, size: Size) -> Result<&'static Plan, String> {
    let names = || NETS.iter().map(|plan| plan.name);
    let plan = NETS.iter().find(|plan| plan.name == name).ok_or_else(|| {
        let hint = nearest(name, names())
            .map_or_else(|| format!("expected {}", one_of(names())), |near| format!("did you mean `{near}`?"));
        format!("there is no net `{name}`; {hint}")
    })?;
    let (fits, multiple) = (|side: u32| side > 0 && side.is_multiple_of(plan.multiple) && side <= 4096, plan.multiple);
    if fits(size.width) && fits(size.height) {
        return Ok(plan);
    }
    Err(format!("`{name}` takes sides that are multiples of {multiple}, at most 4096; {size} is not"))
}

/// Writes a net as a model's folder.
///
/// # Errors
/// [`Error::Io`].
pub fn write(plan: &Plan, folder: &Path, wanted: &Wanted, classes: &[String]) -> Result<Card> {
    let made = plan.make(wanted);
    let bytes = made.model.encode();
    let hash: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    let (w, h) = (wanted.size.width, wanted.size.height);
    let card = format!(
        "model: {{ file: model.onnx, sha256: {hash}, license: unlicensed, source: \"ocelli train, from scratch\" }}\n\
         input: {{ size: [{w}, {h}], color: rgb, layout: nchw, dtype: f32, mean: [127.5, 127.5, 127.5], std: [64, 64, 64] }}\n\
         family: {{ {} }}\nlabels: labels.txt\n",
        made.family
    );
    std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, e))?;
    let labels = classes.join("\n") + "\n";
    for (file, bytes) in
        [("model.onnx", bytes.as_slice()), ("labels.txt", labels.as_bytes()), ("card.yaml", card.as_bytes())]
    {
        replace(&folder.join(file), bytes)?;
    }
    Card::read(folder)
}
