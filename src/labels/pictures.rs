//! Looks for the pictures that labels are of.

use super::keys::is_picture_ending;
use super::tree::Tree;
use super::{Labels, Matching, Played};
use crate::error::Result;
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// Pictures, each with the place of its labels, and how they were matched.
pub type Found = (Vec<(PathBuf, Option<usize>)>, Matching);

/// Finds the pictures of labels: in a folder, or, if none is given, beside the labels, in a folder called `images`, or
/// one or two folders above. Returns them with the places of their labels.
///
/// # Errors
/// [`crate::error::Error::Data`] if labels are ambiguous, [`crate::error::Error::Io`].
pub fn find(labels: &Labels, folder: Option<&Path>) -> Result<Found> {
    let path = std::path::absolute(&labels.truth.path).unwrap_or_else(|_| labels.truth.path.clone());
    let start = if path.is_dir() { path.as_path() } else { path.parent().unwrap_or(Path::new("/")) };
    let tried: Vec<PathBuf> = match folder {
        Some(folder) => vec![folder.to_path_buf()],
        None => {
            let mut tried = vec![start.to_path_buf()];
            for above in start.ancestors().take(3) {
                tried.extend(["images", "JPEGImages", "photos", "img"].map(|name| above.join(name)));
            }
            // Only folders that look like a set: a folder above may hold anything.
            tried.extend(start.parent().filter(|above| above.join("Annotations") == start).map(Path::to_path_buf));
            tried
        }
    };
    let masks: HashSet<&Path> = labels.pictures.iter().filter_map(|picture| picture.mask.as_deref()).collect();
    let mut last = (Vec::new(), Matching::new(labels));
    for folder in tried.iter().filter(|folder| folder.is_dir()) {
        let tree = Tree::of(folder)?;
        let pictures = tree.files.iter().filter(|e| is_picture_ending(&e.ending) && !masks.contains(e.path.as_path()));
        let played: Vec<Played> =
            pictures.map(|e| Played { source: String::new(), name: e.name.clone(), path: e.path.clone() }).collect();
        let mut matching = Matching::new(labels);
        matching.resolve(labels, &played)?;
        let mut found = Vec::with_capacity(played.len());
        for picture in played {
            found.push((picture.path, matching.find("", &picture.name, labels)?));
        }
        let good = matching.matched() > 0;
        last = (found, matching);
        if good {
            break;
        }
    }
    Ok(last)
}
