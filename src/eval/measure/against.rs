//! The labels' side of a measurement: which labels a frame has, what they mean for the model, and what does not fit.

use super::ground_truth::GroundTruth;
use crate::error::{Error, Result};
use crate::labels::{BoxFit, ClassFit, Counts, Labels, MaskRules, Matching, Notes, Picture, Played, shown};
use crate::types::{Frame, Size};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Labels, and what was seen of them.
pub struct Against {
    labels: Arc<Labels>,
    matching: Matching,
    counts: Counts,
    /// By the model's list of names.
    fits: Vec<(Arc<[String]>, ClassFit)>,
    rules: Option<(Arc<[String]>, MaskRules)>,
    boxes: BoxFit,
    notes: Notes,
    /// Pixels of class maps: not labelled, and all.
    pixels: (u64, u64),
    objects: u64,
}

impl Against {
    /// Prepares labels.
    #[must_use]
    pub fn new(labels: Arc<Labels>) -> Self {
        let (matching, counts, notes) = (Matching::new(&labels), Counts::of(&labels), labels.notes.clone());
        Self {
            labels,
            matching,
            counts,
            fits: Vec::new(),
            rules: None,
            boxes: BoxFit::default(),
            notes,
            pixels: (0, 0),
            objects: 0,
        }
    }

    /// The labels.
    #[must_use]
    pub fn labels(&self) -> &Labels {
        &self.labels
    }

    /// Finds the labels of the pictures that will be played, and looks for what cannot be right.
    ///
    /// # Errors
    /// [`Error::Data`] if no picture is labelled, if labels are ambiguous, or if boxes do not fit their pictures.
    pub fn prepare(&mut self, played: &[Played]) -> Result<()> {
        self.matching.resolve(&self.labels, played)?;
        if self.matching.matched() == 0 {
            return Err(self.matching.nothing(&self.labels));
        }
        // Other parts of the set do not count.
        let places: BTreeSet<usize> = self.matching.places().collect();
        let own = || places.iter().filter_map(|at| self.labels.pictures.get(*at));
        let counts = Counts::over(own());
        let fit = BoxFit::over(own());
        self.counts = counts;
        fit.judge(&mut Notes::default()).map_err(|e| e.at(self.labels.truth.path.display()))
    }

    /// Returns what is known about a frame.
    ///
    /// # Errors
    /// [`Error::Data`] if its labels are ambiguous, or of a picture of another size.
    pub fn picture(&mut self, frame: &Frame) -> Result<Option<Picture>> {
        let found = self.matching.find(&frame.source, &frame.name, &self.labels)?;
        let Some(at) = found else {
            let nothing = self.labels.background() && !self.labels.is_unread(&frame.name);
            return Ok(nothing.then(Picture::default));
        };
        let mut picture = self.labels.pictures[at].clone();
        let (actual, strict) = (frame.image.size, !self.labels.truth.scale);
        let Some(size) = picture.size.filter(|size| *size != actual) else { return Ok(Some(picture)) };
        if frame.sideways && size == Size::new(actual.height, actual.width) {
            let kind = "labels that state the size of the picture as stored; their boxes are read as those of the picture turned upright by its EXIF data";
            self.notes.add(kind, || shown(&picture.path));
            return Ok(Some(picture));
        }
        if strict {
            return Err(Error::Data(format!(
                "{}: the labels are of a picture of {size}, but {} is {actual}; give labels of this picture, or --scale-labels",
                picture.file.display(),
                shown(&frame.name)
            )));
        }
        self.notes
            .add("labels scaled to the picture's size", || format!("{}: {size} to {actual}", shown(&picture.path)));
        let across = f64::from(actual.width) / f64::from(size.width);
        let down = f64::from(actual.height) / f64::from(size.height);
        for labelled in &mut picture.boxes {
            if let crate::labels::Place::Pixels([x1, y1, x2, y2]) = &mut labelled.place {
                (*x1, *x2, *y1, *y2) = (*x1 * across, *x2 * across, *y1 * down, *y2 * down);
                labelled.area = labelled.area.map(|area| area * across * down);
            }
        }
        Ok(Some(picture))
    }

    /// Returns the objects of a picture under the names of the model.
    ///
    /// # Errors
    /// [`Error::Data`] if the classes of labels and model do not fit.
    pub fn objects(&mut self, picture: &Picture, frame: &Frame, model: &Arc<[String]>) -> Result<Vec<GroundTruth>> {
        let at = self.fit(model)?;
        let mut objects = Vec::with_capacity(picture.boxes.len());
        for labelled in &picture.boxes {
            let corners = labelled.place.corners(frame.image.size);
            self.boxes.add(corners, frame.image.size, || shown(&frame.name));
            self.objects += 1;
            let Some(label) = self.fits[at].1.name(&labelled.class) else { continue };
            let class = model.iter().position(|known| **known == *label).unwrap_or_default() as u16;
            let (area, crowd, difficult) = (labelled.area, labelled.crowd, labelled.difficult);
            objects.push(GroundTruth { label: label.to_string(), class, corners, area, crowd, difficult });
        }
        Ok(objects)
    }

    /// Returns the class of a whole picture under its name in the model; `None` if the map leaves it out.
    ///
    /// # Errors
    /// As [`Self::objects`].
    pub fn class(&mut self, class: &Arc<str>, model: &Arc<[String]>) -> Result<Option<Arc<str>>> {
        let at = self.fit(model)?;
        Ok(self.fits[at].1.name(&crate::labels::ClassName::Name(Arc::clone(class))))
    }

    /// Reads the class map of a picture.
    ///
    /// # Errors
    /// [`Error::Data`] if it cannot be one of this model, or is of another size.
    pub fn mask(&mut self, picture: &Picture, size: Size, model: &Arc<[String]>) -> Result<Option<Vec<u8>>> {
        let Some(path) = &picture.mask else { return Ok(None) };
        if self.rules.as_ref().is_none_or(|(known, _)| known != model) {
            let rules = MaskRules::find(&self.labels, model, &mut self.notes);
            let rules = rules.map_err(|e| e.at(self.labels.truth.path.display()))?;
            self.rules = Some((Arc::clone(model), rules));
        }
        let Some((_, rules)) = &self.rules else { return Ok(None) };
        let (real, values) = rules.read(path)?;
        if real != size {
            let message = format!(
                "{}: the class map is {real}, but the picture is {size}; give maps of these pictures (--scale-labels scales boxes only)",
                path.display()
            );
            return Err(Error::Data(message));
        }
        let bare = values.iter().filter(|value| **value == crate::labels::UNLABELLED).count();
        self.pixels = (self.pixels.0 + bare as u64, self.pixels.1 + values.len() as u64);
        Ok(Some(values))
    }

    fn fit(&mut self, model: &Arc<[String]>) -> Result<usize> {
        if let Some(at) = self.fits.iter().position(|(known, _)| Arc::ptr_eq(known, model) || known == model) {
            return Ok(at);
        }
        let fit = ClassFit::new(&self.labels, &self.counts, model, &mut self.notes);
        self.fits.push((Arc::clone(model), fit.map_err(|e| e.at(self.labels.truth.path.display()))?));
        Ok(self.fits.len() - 1)
    }

    /// Classes of the labels that the models do not know, and how often each is labelled.
    pub fn strangers(&self) -> Vec<(String, u64)> {
        self.fits.iter().flat_map(|(_, fit)| fit.unknown().iter().cloned()).collect()
    }

    /// The error when no frame had labels.
    #[must_use]
    pub fn nothing(&self) -> Error {
        self.matching.nothing(&self.labels)
    }

    /// Returns what was odd, what is worth knowing, and how many labelled pictures were not played.
    ///
    /// # Errors
    /// [`Error::Data`] if boxes are in another unit, if no picture was matched, or, where the user asks for it, if
    /// anything was odd.
    pub fn finish(self) -> Result<(Notes, Vec<String>, u64)> {
        let Self { labels, matching, boxes, mut notes, pixels, objects, .. } = self;
        let place = labels.truth.path.display().to_string();
        if matching.matched() == 0 {
            return Err(matching.nothing(&labels));
        }
        boxes.judge(&mut notes).map_err(|e| e.at(&place))?;
        let all: usize = labels.pictures.iter().map(|picture| picture.boxes.len()).sum();
        if objects == 0 && all > 0 && !boxes_of_others(&labels) {
            notes.say("no picture that was played has a labelled object".into());
        }
        let (against, other): (Vec<_>, Vec<_>) = matching.elsewhere().iter().partition(|(_, contradicts)| *contradicts);
        for (place, _) in against {
            notes.add("labels in other folders than their pictures, matched by name only", || place.clone());
        }
        let bare = matching.bare();
        let without = if labels.background() {
            "pictures without a label file, taken to have nothing in them"
        } else {
            "pictures without labels, which do not count"
        };
        for name in matching.maps() {
            notes.add("class maps among the pictures that were played, which do not count", || name.clone());
        }
        let odd = |name: &&String| !matching.maps().contains(name) && !labels.is_unread(name);
        for name in bare.iter().filter(odd) {
            notes.add(without, || name.clone());
        }
        let unseen = matching.unseen(&labels);
        for name in &unseen {
            notes.add("labelled pictures that were not played", || name.clone());
        }
        let mut info = vec![format!("labels: {}", labels.about())];
        if let Some((place, _)) = other.first() {
            info.push(format!(
                "matched by name only, because the folders differ: {} pictures, such as {place}",
                other.len()
            ));
        }
        if pixels.0 > 0 {
            let share = 100.0 * pixels.0 as f64 / pixels.1.max(1) as f64;
            info.push(format!("not labelled: {share:.1} % of the pixels"));
            if share > 50.0 {
                notes.say(format!("more than half of the pixels ({share:.1} %) are not labelled, and do not count"));
            }
        }
        Ok((notes, info, unseen.len() as u64))
    }
}

/// Whether labels hold no boxes to find.
fn boxes_of_others(labels: &Labels) -> bool {
    labels.pictures.iter().any(|picture| picture.mask.is_some() || picture.class.is_some())
}
