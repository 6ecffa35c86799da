//! Everything that training changes, and the file that it can go on from.

use crate::error::{Error, Result};
use crate::train::optimizer::Memory;
use crate::train::weights::{Weights, floats, write};
use safetensors::SafeTensors;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// What was measured in one epoch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The part of the training, from 0.
    pub phase: u64,
    /// The epoch of this part, from 0.
    pub epoch: u64,
    /// The learning rate of its last step.
    pub rate: f64,
    /// The mean of each part of the loss on the training pictures.
    pub train: Vec<(String, f64)>,
    /// The same on the validation pictures.
    pub val: Vec<(String, f64)>,
    /// What counts, measured with the exported file in tract, if it was measured.
    pub metric: Option<f64>,
    /// Seconds that it took.
    pub seconds: f64,
}

impl Row {
    /// The whole loss on the validation pictures.
    #[must_use]
    pub fn loss(&self) -> f64 {
        self.val.iter().map(|(_, value)| value).sum()
    }
}

/// The best weights so far.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// The part of the training.
    pub phase: u64,
    /// Its epoch.
    pub epoch: u64,
    /// What counts.
    pub metric: f64,
    /// The loss on the validation pictures.
    pub loss: f64,
}

/// How far a training is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// What the training was started with: changing it needs a new one.
    pub origin: String,
    /// The part of the training.
    pub phase: u64,
    /// The epoch of this part.
    pub epoch: u64,
    /// The batch of this epoch that comes next.
    pub batch: u64,
    /// Sums over the batches of this epoch, and their number.
    pub sums: Vec<(String, f64)>,
    /// Seconds since the start of this epoch, and since the start.
    pub seconds: (f64, f64),
    /// The epochs that are done.
    pub history: Vec<Row>,
    /// The best weights, which are in a file of their own.
    pub best: Option<Best>,
    /// Whether all is done.
    pub finished: bool,
}

/// Everything that training changes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    /// How far it is.
    pub progress: Progress,
    /// Weights that are not those of the model it started from.
    pub weights: Weights,
    /// Their means over time.
    pub averages: Weights,
    /// What the optimiser remembers of each.
    pub memories: BTreeMap<String, Memory>,
}

/// Names of the parts of a file.
const MOMENTS: [&str; 3] = ["moment0", "moment1", "moment2"];

impl State {
    /// Writes the file: whole, or not at all.
    ///
    /// # Errors
    /// [`Error::Io`]; the old file is still there then.
    pub fn save(&self, path: &Path) -> Result<()> {
        let mut tensors: Vec<(String, &[f32])> = Vec::new();
        let named = |kind: &str, name: &str| format!("{kind}/{name}");
        tensors.extend(self.weights.iter().map(|(name, values)| (named("weight", name), values.as_slice())));
        tensors.extend(self.averages.iter().map(|(name, values)| (named("average", name), values.as_slice())));
        let mut steps = BTreeMap::new();
        for (name, memory) in &self.memories {
            steps.insert(name, memory.steps);
            let moments = MOMENTS.iter().zip(&memory.moments).filter(|(_, values)| !values.is_empty());
            tensors.extend(moments.map(|(kind, values)| (named(kind, name), values.as_slice())));
        }
        let broken = |what: String| Error::Internal(format!("{}: {what}", path.display()));
        let mut notes = BTreeMap::new();
        let text = |value: serde_json::Result<String>| value.map_err(|e| broken(e.to_string()));
        notes.insert("progress".to_owned(), text(serde_json::to_string(&self.progress))?);
        notes.insert("steps".to_owned(), text(serde_json::to_string(&steps))?);
        write(path, &tensors, notes)
    }

    /// Reads the file.
    ///
    /// # Errors
    /// [`Error::Data`] if it is damaged, [`Error::Io`].
    pub fn load(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(|e| Error::io(path, e))?;
        let bad = |what: String| Error::Data(format!("{}: not a checkpoint of a training: {what}", path.display()));
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|e| bad(e.to_string()))?;
        let notes = header.metadata().clone().unwrap_or_default();
        let note = |name: &str| notes.get(name).ok_or_else(|| bad(format!("it has no `{name}`")));
        let progress = serde_json::from_str(note("progress")?).map_err(|e| bad(e.to_string()))?;
        let steps: BTreeMap<String, u64> = serde_json::from_str(note("steps")?).map_err(|e| bad(e.to_string()))?;
        let mut state = Self { progress, ..Self::default() };
        for (name, steps) in steps {
            state.memories.insert(name, Memory { steps, ..Memory::default() });
        }
        for (name, tensor) in SafeTensors::deserialize(&bytes).map_err(|e| bad(e.to_string()))?.iter() {
            let (kind, name) = name.split_once('/').unwrap_or_default();
            let values = floats(&tensor).ok_or_else(|| bad(format!("`{name}` holds no floats")))?;
            match (kind, MOMENTS.iter().position(|known| *known == kind)) {
                ("weight", _) => _ = state.weights.insert(name.to_owned(), values),
                ("average", _) => _ = state.averages.insert(name.to_owned(), values),
                (_, Some(at)) => state.memories.entry(name.to_owned()).or_default().moments[at] = values,
                _ => {}
            }
        }
        Ok(state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_saved_is_loaded_and_damage_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("last.safetensors");
        let mut state = State::default();
        state.progress.origin = "a".into();
        state.progress.history.push(Row {
            train: vec![("class".into(), 0.1 + 0.2)],
            seconds: 1.0 / 3.0,
            ..Row::default()
        });
        state.weights.insert("w/1".into(), vec![1.0, f32::MIN_POSITIVE, -0.0]);
        state.averages.insert("w/1".into(), vec![2.0]);
        let memory = Memory { steps: 7, moments: [vec![0.1], vec![], vec![0.3]] };
        state.memories.insert("w/1".into(), memory);
        state.save(&path).unwrap();
        assert_eq!(State::load(&path).unwrap(), state);
        let bytes = std::fs::read(&path).unwrap();
        for cut in [0, 7, 8, 100, bytes.len() - 1] {
            std::fs::write(&path, &bytes[..cut]).unwrap();
            let told = State::load(&path).unwrap_err().to_string();
            assert!(told.contains("not a checkpoint"), "{cut}: {told}");
        }
        crate::train::weights::save(&path, &state.weights).unwrap();
        assert!(State::load(&path).is_err());
    }
}
