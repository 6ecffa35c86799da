//! Looks for the pictures that labels are of.

use super::fit::BoxFit;
use super::keys::is_picture_ending;
use super::text::shown;
use super::tree::{Entry, Tree};
use super::{Format, Labels, Matching, Played};
use crate::error::{Error, Result};
use crate::media::still;
use crate::types::Size;
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// Pictures, each with the place of its labels, and how they were matched.
pub type Found = (Vec<(PathBuf, Option<usize>)>, Matching);

/// Folders of labels, which may hold class maps.
const MAPS: [&str; 9] = [
    "masks",
    "mask",
    "labels",
    "annotations",
    "segmentationclass",
    "segmentationobject",
    "segmentationclassaug",
    "gtfine",
    "ann",
];

/// Finds the pictures of labels: in a folder, or, if none is given, beside the labels, in a folder called `images`, or
/// one or two folders above. Returns them with the places of their labels.
///
/// # Errors
/// [`Error::Config`] if there is no such folder, [`Error::Data`] if labels are ambiguous, [`Error::Io`].
pub fn find(labels: &Labels, folder: Option<&Path>) -> Result<Found> {
    if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
        return Err(Error::Config(format!("--pictures {}: there is no such folder", folder.display())));
    }
    let path = std::path::absolute(&labels.truth.path).unwrap_or_else(|_| labels.truth.path.clone());
    let start = if path.is_dir() { path.as_path() } else { path.parent().unwrap_or(Path::new("/")) };
    let tried: Vec<PathBuf> = match folder {
        Some(folder) => vec![folder.to_path_buf()],
        None => {
            let known = |above: &Path| ["images", "JPEGImages", "photos", "img"].map(|name| above.join(name));
            // A folder of pictures before all that lies beside it.
            let mut tried = known(start).to_vec();
            tried.push(start.to_path_buf());
            for above in start.ancestors().skip(1).take(2) {
                tried.extend(known(above));
            }
            // Only folders that look like a set: a folder above may hold anything.
            tried.extend(start.parent().filter(|above| above.join("Annotations") == start).map(Path::to_path_buf));
            tried
        }
    };
    let whole = |path: &PathBuf| std::path::absolute(path).unwrap_or_else(|_| path.clone());
    let masks: HashSet<PathBuf> =
        labels.pictures.iter().filter_map(|picture| picture.mask.as_ref()).map(whole).collect();
    let (mut last, mut doubt) = ((Vec::new(), Matching::new(labels)), None);
    for folder in tried.iter().filter(|folder| folder.is_dir()) {
        let tree = Tree::of(folder)?;
        // Beside pictures, folders of labels hold no pictures, whatever their endings.
        let of_labels = |e: &Entry| e.folders().any(|folder| MAPS.contains(&folder.to_lowercase().as_str()));
        let of_labels = |e: &Entry| labels.format != Format::Folders && of_labels(e);
        let pictures = tree
            .files
            .iter()
            .filter(|e| is_picture_ending(&e.ending) && !of_labels(e) && !masks.contains(&whole(&e.path)));
        let played: Vec<Played> =
            pictures.map(|e| Played { source: String::new(), name: e.name.clone(), path: e.path.clone() }).collect();
        let mut matching = Matching::new(labels);
        match matching.resolve(labels, &played) {
            Ok(()) => {}
            // Another folder may be the right one.
            Err(error) => {
                doubt.get_or_insert(error);
                continue;
            }
        }
        let mut found = Vec::with_capacity(played.len());
        for picture in played {
            found.push((picture.path, matching.find("", &picture.name, labels)?));
        }
        let good = matching.matched() > 0;
        last = (found, matching);
        if good {
            return Ok(last);
        }
    }
    doubt.map_or(Ok(last), Err)
}

/// Compares labels with the sizes of their pictures: how the boxes lie in them, and the first that is of another size.
#[must_use]
pub fn fit(labels: &Labels, found: &[(PathBuf, Option<usize>)]) -> (BoxFit, Option<Error>) {
    let (mut fit, mut other) = (BoxFit::default(), None);
    for (path, at) in found {
        let Some(picture) = at.map(|at| &labels.pictures[at]) else { continue };
        let Some((stored, sideways)) = still::stored_size(path) else { continue };
        // Boxes are those of the upright picture; the stated size may be either.
        let turned = Size::new(stored.height, stored.width);
        let differs = |size: &Size| *size != stored && !(sideways && *size == turned);
        if let Some(size) = picture.size.filter(differs) {
            if !labels.truth.scale {
                let file = picture.file.display();
                other.get_or_insert_with(|| {
                    Error::Data(format!(
                        "{file}: the labels are of a picture of {size}, but {} is {stored}; give labels of this picture, or --scale-labels",
                        path.display()
                    ))
                });
            }
            continue;
        }
        if let Some((map, _)) = picture.mask.as_deref().and_then(still::stored_size).filter(|(map, _)| differs(map)) {
            let file = picture.file.display();
            other.get_or_insert_with(|| {
                let path = path.display();
                Error::Data(format!(
                    "{file}: the class map is {map}, but {path} is {stored}; give maps of these pictures"
                ))
            });
        }
        for labelled in &picture.boxes {
            let size = if sideways { turned } else { stored };
            fit.add(labelled.place.corners(size), size, || shown(&picture.path));
        }
    }
    (fit, other)
}
