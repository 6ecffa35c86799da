//! `ocelli scene`: writes labelled pictures of a rendered scene.

use crate::error::{Error, Result};
use crate::media::{jpeg, png};
use crate::sources::scene::{CLASSES, Renderer, Setting};
use crate::types::{Detection, Image, PixelFormat, Size};
use clap::{Args, ValueEnum};
use serde_json::json;
use std::path::{Path, PathBuf};

/// Render a labelled scene: pictures with COCO boxes or class masks
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ocelli scene --export coco --out street --frames 200
  ocelli scene --export masks --setting table --seed 7 --out table --format png

With `coco` the folder holds images/ and annotations.json (boxes of what is visible).
With `masks` it also holds masks/: one grey PNG per picture, 0 = background, 1 + class elsewhere.")]
pub struct SceneArgs {
    /// What to write with the pictures
    #[arg(long, value_enum)]
    export: Export,
    /// Folder to write into; created if missing
    #[arg(long)]
    out: PathBuf,
    /// Which scene
    #[arg(long, value_enum, default_value = "street")]
    setting: Setting,
    /// Random seed; each seed gives a different world
    #[arg(long, default_value_t = 1)]
    seed: u32,
    /// Number of pictures
    #[arg(long, default_value_t = 100)]
    frames: u32,
    /// Seconds of scene time between two pictures
    #[arg(long, default_value_t = 1.0)]
    every: f32,
    /// Width x height of the pictures
    #[arg(long, default_value = "640x360", value_parser = parse_size)]
    size: Size,
    /// Number of objects in the scene, at most 60
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(0..=60))]
    objects: u32,
    /// Sensor noise in levels of 255
    #[arg(long, default_value_t = 4.0)]
    noise: f32,
    /// Format of the pictures
    #[arg(long, value_enum, default_value = "jpg")]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Export {
    /// Boxes in COCO's JSON format
    Coco,
    /// Boxes, and a class for each pixel
    Masks,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Jpg,
    Png,
}

fn parse_size(text: &str) -> Result<Size, String> {
    let parsed = text.split_once('x').and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?)));
    match parsed {
        Some((w @ 16..=4096, h @ 16..=4096)) => Ok(Size::new(w, h)),
        _ => Err("write it as 640x360, each side between 16 and 4096".into()),
    }
}

impl SceneArgs {
    /// Renders and writes the pictures.
    ///
    /// # Errors
    /// [`Error::Io`] if a file cannot be written.
    pub fn run(&self) -> Result<()> {
        let images = self.out.join("images");
        let masks = self.out.join("masks");
        make_folder(&images)?;
        if self.export == Export::Masks {
            make_folder(&masks)?;
        }
        let extension = if self.format == Format::Jpg { "jpg" } else { "png" };
        let mut renderer = Renderer::new(self.setting, self.seed, self.objects, self.noise, self.size);
        let (mut image, mut truth) = (Image::default(), Vec::new());
        let (mut entries, mut annotations) = (Vec::new(), Vec::new());
        let bar = super::progress::counted(u64::from(self.frames), "pictures");
        for frame in 0..self.frames {
            renderer.render(frame as f32 * self.every, frame, &mut image, &mut truth);
            let name = format!("{frame:06}.{extension}");
            self.write_picture(&image, &images.join(&name))?;
            if self.export == Export::Masks {
                let mask = Image { size: image.size, format: PixelFormat::Gray8, data: renderer.class_map() };
                write_png(&mask, &masks.join(format!("{frame:06}.png")))?;
            }
            entries.push(json!({
                "id": frame + 1, "file_name": name,
                "width": image.size.width, "height": image.size.height,
            }));
            for (nth, found) in truth.iter().enumerate() {
                annotations.push(annotation(annotations.len() + 1, frame + 1, found, &renderer.outline(nth)));
            }
            bar.inc(1);
        }
        bar.finish_and_clear();
        let categories: Vec<_> =
            CLASSES.iter().enumerate().map(|(i, name)| json!({ "id": i + 1, "name": name })).collect();
        let document = json!({
            "info": { "description": format!("ocelli scene {:?}, seed {}", self.setting, self.seed) },
            "images": entries, "annotations": annotations, "categories": categories,
        });
        let path = self.out.join("annotations.json");
        std::fs::write(&path, document.to_string()).map_err(|e| Error::io(&path, e))?;
        super::global::say(&format!(
            "{} pictures, {} boxes in {}\n",
            self.frames,
            annotations.len(),
            self.out.display()
        ))
    }

    fn write_picture(&self, image: &Image, path: &Path) -> Result<()> {
        if self.format == Format::Png {
            return write_png(image, path);
        }
        let mut bytes = Vec::new();
        jpeg::encode(image, 92, &mut bytes)?;
        std::fs::write(path, bytes).map_err(|e| Error::io(path, e))
    }
}

fn annotation(id: usize, image_id: u32, found: &Detection, outline: &(Vec<Vec<u32>>, u64)) -> serde_json::Value {
    let b = found.bbox;
    json!({
        "id": id, "image_id": image_id, "category_id": found.class + 1, "iscrowd": 0,
        "bbox": [b.x1, b.y1, b.x2 - b.x1, b.y2 - b.y1], "area": outline.1,
        "segmentation": outline.0,
    })
}

fn write_png(image: &Image, path: &Path) -> Result<()> {
    let file = std::fs::File::create(path).map_err(|e| Error::io(path, e))?;
    png::encode(image, std::io::BufWriter::new(file))
}

fn make_folder(path: &Path) -> Result<()> {
    std::fs::create_dir_all(path).map_err(|e| Error::io(path, e))
}
