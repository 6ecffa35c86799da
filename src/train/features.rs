//! What the frozen layers say about each picture: computed by tract, kept on disk in 16-bit floats.

use super::data::{Sample, Target, View};
use super::random::Random;
use super::recipe::{Augment, Cache};
use crate::error::{Error, Result};
use crate::infer::{Card, Extra, Plan, Session};
use crate::onnx::Model;
use half::f16;
use half::slice::HalfFloatSliceExt as _;
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// The purposes of random numbers here.
const VIEWS: u64 = 1;

/// The frozen layers of a model.
pub struct Frozen {
    card: Card,
    plan: Arc<Plan>,
    /// Sessions that nobody uses at the moment.
    idle: Mutex<Vec<Session>>,
    /// The values they give, with their shapes for one picture.
    pub cuts: Vec<(String, Vec<usize>)>,
    /// Whether the trained layers read the picture itself.
    direct: bool,
}

impl Frozen {
    /// Loads the layers of `model` that lead to `cuts`.
    ///
    /// # Errors
    /// [`Error::Model`] if tract cannot run them, or a value has no side for the batch.
    pub fn load(card: &Card, model: &Model, cuts: &[String]) -> Result<Self> {
        let input = card.fields.input.name.clone();
        let input = input.or_else(|| model.inputs().next().map(|input| input.label().to_owned())).unwrap_or_default();
        let direct = matches!(cuts, [only] if *only == input);
        let mut card = card.clone();
        if !direct {
            card.fields.model.outputs = cuts.to_vec();
        }
        let plan = Arc::new(Plan::load(&card, &Extra::default())?);
        let mut session = Session::of(&card, Arc::clone(&plan), 1)?;
        let mut shapes = Vec::new();
        if direct {
            shapes.push(card.fields.input.shape().to_vec());
        } else {
            session.run(
                &Arc::from(""),
                &crate::types::Image::new(card.fields.input.size, crate::types::PixelFormat::Rgb8),
            )?;
            for name in cuts {
                let shape = session.output_named(name)?.shape().to_vec();
                if shape.first() != Some(&1) {
                    return Err(Error::Model(format!(
                        "model `{}`: `{name}`, where training would begin, has the shape {shape:?}, without a side for several pictures; freeze more or fewer layers",
                        card.name
                    )));
                }
                shapes.push(shape);
            }
        }
        let cuts = cuts.iter().cloned().zip(shapes).collect();
        Ok(Self { card, plan, idle: Mutex::new(vec![session]), cuts, direct })
    }

    /// The numbers of one picture.
    fn len(&self) -> usize {
        self.cuts.iter().map(|(_, shape)| shape.iter().product::<usize>()).sum()
    }

    /// What the layers say about a picture, all values one after the other.
    fn compute(&self, sample: &Sample, view: &View) -> Result<Vec<f32>> {
        let input = &self.card.fields.input;
        let image = view.apply(&sample.image()?, input).map_err(|e| e.at(sample.path.display()))?;
        let mut all = Vec::with_capacity(self.len());
        if self.direct {
            all.resize(self.len(), 0.0);
            input.normalizer().fill_f32(&image, &mut all);
            return Ok(all);
        }
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut session = idle.map_or_else(|| Session::of(&self.card, Arc::clone(&self.plan), 1), Ok)?;
        session.run(&Arc::from(""), &image)?;
        let mut values = Vec::new();
        for (name, _) in &self.cuts {
            session.output_named(name)?.read(1.0, 0, &mut values)?;
            all.extend_from_slice(&values);
        }
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(session);
        Ok(all)
    }
}

/// Pictures as the trained layers see them.
pub struct Features<'a> {
    frozen: &'a Frozen,
    samples: &'a [Sample],
    /// How pictures vary; `None` for validation.
    augment: Option<&'a Augment>,
    seed: u64,
    store: Option<Store>,
}

/// A batch: the values of each cut, and the targets.
#[derive(Debug, Default)]
pub struct Batch {
    /// The values of each cut, all pictures one after the other.
    pub inputs: Vec<Vec<f32>>,
    /// What is to be learnt from each picture.
    pub targets: Vec<Target>,
}

impl<'a> Features<'a> {
    /// Prepares pictures. Without `augment` they are seen as they are. `folder` is where features are kept; `None` keeps none.
    ///
    /// # Errors
    /// [`Error::Io`] if the folder cannot be written.
    pub fn new(
        frozen: &'a Frozen,
        samples: &'a [Sample],
        augment: Option<&'a Augment>,
        seed: u64,
        folder: Option<&Path>,
    ) -> Result<Self> {
        let variants = match augment.map(|augment| augment.cache) {
            None => Some(1),
            Some(Cache::Variants(count)) => Some(count),
            Some(Cache::None) => None,
        };
        // Pixels are on the disk already.
        let folder = folder.filter(|_| !frozen.direct);
        let store = match folder.zip(variants) {
            Some((folder, variants)) => {
                let mut key = Sha256::new();
                let (card, input) = (&frozen.card.fields.model, &frozen.card.fields.input);
                key.update(format!("2 {} {:?} {input:?} {augment:?} {seed} {variants}", card.sha256, card.outputs));
                samples.iter().for_each(|sample| key.update(sample.hash));
                let key: String = key.finalize().iter().take(12).map(|byte| format!("{byte:02x}")).collect();
                let count = samples.len() as u64 * variants;
                Some(Store::open(&folder.join(format!("{key}.f16")), frozen.len(), count, variants)?)
            }
            None => None,
        };
        Ok(Self { frozen, samples, augment, seed, store })
    }

    /// How many pictures there are.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.samples.len()
    }

    fn view(&self, at: usize, variant: u64) -> View {
        let (sample, input) = (&self.samples[at], &self.frozen.card.fields.input);
        match self.augment {
            None => View::plain(sample.size, input),
            Some(settings) => {
                View::varied(sample.size, input, settings, &Random::of(&[VIEWS, self.seed, at as u64, variant]))
            }
        }
    }

    /// The pictures at these places, as an epoch sees them. Computes and keeps what is not kept yet.
    ///
    /// # Errors
    /// [`Error::Data`] if a picture cannot be read, [`Error::Io`] if features cannot be kept.
    pub fn batch(&self, places: &[usize], epoch: u64) -> Result<Batch> {
        let variant = self.store.as_ref().map_or(epoch, |store| epoch % store.variants);
        let one = |at: &usize| -> Result<(Vec<f32>, Target)> {
            let view = self.view(*at, variant);
            let target = Target::of(&self.samples[*at], &view)?;
            let Some(store) = &self.store else { return Ok((self.frozen.compute(&self.samples[*at], &view)?, target)) };
            let place = *at as u64 * store.variants + variant;
            if let Some(kept) = store.read(place)? {
                return Ok((kept, target));
            }
            let computed = self.frozen.compute(&self.samples[*at], &view)?;
            store.write(place, &computed).map_err(|e| e.at(self.samples[*at].path.display()))?;
            // What is learnt from must not depend on whether it was kept.
            Ok((store.read(place)?.unwrap_or(computed), target))
        };
        let all: Vec<(Vec<f32>, Target)> = places.par_iter().map(one).collect::<Result<_>>()?;
        let mut batch = Batch::default();
        let mut from = 0;
        for (_, shape) in &self.frozen.cuts {
            let len: usize = shape.iter().product();
            batch.inputs.push(all.iter().flat_map(|(values, _)| &values[from..from + len]).copied().collect());
            from += len;
        }
        batch.targets = all.into_iter().map(|(_, target)| target).collect();
        Ok(batch)
    }
}

/// A file of records, each 16-bit floats and a checksum. A record whose checksum is wrong is not there.
struct Store {
    file: File,
    path: std::path::PathBuf,
    len: usize,
    variants: u64,
}

impl Store {
    fn open(path: &Path, len: usize, count: u64, variants: u64) -> Result<Self> {
        crate::host::make_parent(path)?;
        let io = |e| Error::io(path, e);
        let file = File::options().read(true).write(true).create(true).truncate(false).open(path).map_err(io)?;
        let store = Self { file, path: path.to_path_buf(), len, variants };
        store.file.set_len(count * store.stride()).map_err(io)?;
        Ok(store)
    }

    const fn stride(&self) -> u64 {
        self.len as u64 * 2 + 4
    }

    /// A checksum that is never 0, as what was never written is.
    fn sum(bytes: &[u8]) -> u32 {
        crc32fast::hash(bytes).max(1)
    }

    fn read(&self, place: u64) -> Result<Option<Vec<f32>>> {
        let mut bytes = vec![0; self.stride() as usize];
        self.file.read_exact_at(&mut bytes, place * self.stride()).map_err(|e| Error::io(&self.path, e))?;
        let (data, sum) = bytes.split_at(self.len * 2);
        if sum != Self::sum(data).to_le_bytes() {
            return Ok(None);
        }
        let halves: Vec<f16> = data.as_chunks::<2>().0.iter().map(|pair| f16::from_le_bytes(*pair)).collect();
        let mut values = vec![0.0; self.len];
        halves.convert_to_f32_slice(&mut values);
        Ok(Some(values))
    }

    fn write(&self, place: u64, values: &[f32]) -> Result<()> {
        let mut halves = vec![f16::ZERO; values.len()];
        halves.convert_from_f32_slice(values);
        if let Some(at) = halves.iter().position(|value| !value.is_finite()) {
            return Err(Error::Model(format!(
                "the frozen layers give {}, which 16-bit floats cannot hold; set `augment.cache` to `none`",
                values[at]
            )));
        }
        let mut bytes: Vec<u8> = halves.iter().flat_map(|value| value.to_le_bytes()).collect();
        bytes.extend(Self::sum(&bytes).to_le_bytes());
        self.file.write_all_at(&bytes, place * self.stride()).map_err(|e| Error::io(&self.path, e))
    }
}
