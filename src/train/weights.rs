//! Weights in files, in the form of safetensors.

use crate::error::{Error, Result};
use crate::host::replace;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use std::collections::BTreeMap;
use std::path::Path;

/// Weights by name.
pub type Weights = BTreeMap<String, Vec<f32>>;

/// Writes weights alone.
///
/// # Errors
/// [`Error::Io`]; the old file is still there then.
pub fn save(path: &Path, weights: &Weights) -> Result<()> {
    let tensors: Vec<(String, &[f32])> =
        weights.iter().map(|(name, values)| (name.clone(), values.as_slice())).collect();
    write(path, &tensors, BTreeMap::new())
}

/// Reads weights alone.
///
/// # Errors
/// [`Error::Data`] if the file is damaged, [`Error::Io`].
pub fn load(path: &Path) -> Result<Weights> {
    let bytes = std::fs::read(path).map_err(|e| Error::io(path, e))?;
    let bad = |what: String| Error::Data(format!("{}: not the weights of a training: {what}", path.display()));
    let tensors = SafeTensors::deserialize(&bytes).map_err(|e| bad(e.to_string()))?;
    let one = |(name, tensor): (&str, TensorView<'_>)| {
        floats(&tensor).map(|values| (name.to_owned(), values)).ok_or_else(|| bad(format!("`{name}` holds no floats")))
    };
    tensors.iter().map(one).collect()
}

/// Writes tensors with notes: whole, or not at all.
///
/// # Errors
/// [`Error::Io`]; the old file is still there then.
pub fn write(path: &Path, tensors: &[(String, &[f32])], notes: BTreeMap<String, String>) -> Result<()> {
    let broken = |e: safetensors::SafeTensorError| Error::Internal(format!("{}: {e}", path.display()));
    let bytes: Vec<(&String, Vec<u8>, usize)> = tensors
        .iter()
        .map(|(name, values)| (name, values.iter().flat_map(|value| value.to_le_bytes()).collect(), values.len()))
        .collect();
    let views: Result<Vec<_>> = bytes
        .iter()
        .map(|(name, bytes, len)| Ok((name, TensorView::new(Dtype::F32, vec![*len], bytes).map_err(broken)?)))
        .collect();
    let file = safetensors::serialize(views?, Some(notes.into_iter().collect())).map_err(broken)?;
    replace(path, &file)
}

/// The floats of a tensor.
#[must_use]
pub fn floats(tensor: &TensorView<'_>) -> Option<Vec<f32>> {
    let chunks = tensor.data().as_chunks::<4>();
    (tensor.dtype() == Dtype::F32 && chunks.1.is_empty())
        .then(|| chunks.0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_come_back_to_the_bit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("best.safetensors");
        let weights: Weights = [("a/b".to_owned(), vec![0.1, -0.0, f32::MAX]), (String::new(), vec![])].into();
        save(&path, &weights).unwrap();
        assert_eq!(load(&path).unwrap(), weights);
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        assert!(load(&path).unwrap_err().to_string().contains("best.safetensors"));
    }
}
