//! Single pictures.

use crate::error::{Error, Result};
use crate::host::{make_parent, replace};
use crate::media::{jpeg, png};
use crate::stage::{Env, LineEnv, Sink, SinkConfig};
use crate::types::{Image, Packet, PixelFormat, Products};
use serde::Deserialize;
use std::path::Path;

/// Writes pictures: the annotated one if there is one, otherwise the frame, or what `of` selects. With `every: 10s` on
/// the line, it writes one picture every ten seconds. A path without `{seq}` or `{name}` always holds the newest
/// picture.
///
/// `- snapshot: { path: "out/{source}-{seq}.jpg" }`
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    /// The file to write, ending in `.jpg` or `.png`. `{source}`, `{seq}`, `{pts_ms}` and `{name}` (the name of the
    /// picture that was read, without its extension) are filled in.
    pub path: String,
    /// Write only frames in which something was found.
    #[serde(default)]
    pub found: bool,
    /// JPEG quality, 1–100.
    #[serde(default = "default_quality")]
    pub quality: u8,
    /// What to write.
    #[serde(default)]
    pub of: Of,
}

/// What a snapshot shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Of {
    /// The annotated picture if there is one, otherwise the frame.
    #[default]
    Canvas,
    /// The frame as it came from the source.
    Frame,
    /// The class map of `segment` in grey levels that are the class numbers. PNG only.
    Mask,
}

const fn default_quality() -> u8 {
    90
}

impl SinkConfig for Snapshot {
    fn needs(&self) -> Products {
        let found = if self.found { Products::DETECTIONS } else { Products::empty() };
        if self.of == Of::Mask { found | Products::MASK } else { found }
    }

    fn check(&self, _env: &Env) -> Result<()> {
        let extension =
            Path::new(&self.path).extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default();
        if !matches!(extension.as_str(), "jpg" | "jpeg" | "png") {
            return Err(Error::Config(format!("`path` is {:?}; it must end in .jpg or .png", self.path)));
        }
        if self.of == Of::Mask && extension != "png" {
            return Err(Error::Config(format!(
                "`path` is {:?}; a JPEG would not keep the class numbers; write a .png",
                self.path
            )));
        }
        if !(1..=100).contains(&self.quality) {
            return Err(Error::Config(format!("`quality` is {}; it must lie between 1 and 100", self.quality)));
        }
        let known = ["source", "seq", "pts_ms", "name"];
        for field in self.path.split('{').skip(1) {
            let name = field.split('}').next().unwrap_or_default();
            if !known.contains(&name) {
                let known = crate::yaml::one_of(known);
                return Err(Error::Config(format!(
                    "`path`: unknown field `{{{name}}}`; the known fields are {known}, each in braces"
                )));
            }
        }
        Ok(())
    }

    fn open(&self, env: &LineEnv) -> Result<Box<dyn Sink>> {
        self.check(env)?;
        let path = env.outputs.path(&self.path).to_string_lossy().into_owned();
        let settings = Self { path, ..self.clone() };
        Ok(Box::new(Taking { settings, bytes: Vec::new(), mask: Image::default() }))
    }
}

struct Taking {
    settings: Snapshot,
    bytes: Vec<u8>,
    mask: Image,
}

impl Sink for Taking {
    fn wants(&self, packet: &Packet) -> bool {
        !self.settings.found || packet.detections.as_ref().is_some_and(|found| !found.is_empty())
    }

    fn write(&mut self, packet: &Packet) -> Result<()> {
        let frame = &packet.frame;
        let image = match (self.settings.of, &packet.mask) {
            (Of::Mask, Some(mask)) => {
                self.mask.reshape(mask.size, PixelFormat::Gray8);
                self.mask.data.copy_from_slice(&mask.classes);
                &self.mask
            }
            (Of::Canvas, _) => packet.canvas.as_deref().unwrap_or(&frame.image),
            _ => &frame.image,
        };
        let name = Path::new(&frame.name).file_stem().unwrap_or_default().to_string_lossy();
        let path = self
            .settings
            .path
            .replace("{source}", &frame.source)
            .replace("{seq}", &format!("{:06}", frame.seq))
            .replace("{pts_ms}", &frame.pts.as_millis().to_string())
            .replace("{name}", &name);
        self.bytes.clear();
        if path.to_lowercase().ends_with(".png") {
            png::encode(image, &mut self.bytes)?;
        } else {
            jpeg::encode(image, self.settings.quality, &mut self.bytes)?;
        }
        make_parent(Path::new(&path))?;
        replace(Path::new(&path), &self.bytes)
    }
}
