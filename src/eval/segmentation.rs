//! How well class maps agree: the confusion matrix and what follows from it.
//!
//! The numbers equal those of scikit-learn 1.9 (`confusion_matrix`, `jaccard_score`). Their names are from Long et al.
//! 2015, "Fully Convolutional Networks for Semantic Segmentation", §5.

/// Counts of pixels: `[real class][found class]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confusion {
    classes: usize,
    counts: Vec<u64>,
}

impl Confusion {
    /// Creates a matrix with no pixel counted.
    #[must_use]
    pub fn new(classes: usize) -> Self {
        Self { classes, counts: vec![0; classes * classes] }
    }

    /// Counts the pixels of a picture, except those whose real class is `ignore` and those where either class is
    /// outside the matrix.
    pub fn add(&mut self, real: &[u8], found: &[u8], ignore: Option<u8>) {
        for (&real, &found) in real.iter().zip(found) {
            if Some(real) != ignore && usize::from(real) < self.classes && usize::from(found) < self.classes {
                self.counts[usize::from(real) * self.classes + usize::from(found)] += 1;
            }
        }
    }

    /// Returns the number of classes.
    #[must_use]
    pub const fn classes(&self) -> usize {
        self.classes
    }

    /// Counts some pixels of one real and one found class.
    pub fn count(&mut self, real: u8, found: u8, count: u64) {
        if usize::from(real) < self.classes && usize::from(found) < self.classes {
            self.counts[usize::from(real) * self.classes + usize::from(found)] += count;
        }
    }

    /// Returns the counts, row by row.
    #[must_use]
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// Returns the matrix without the classes after the last that is there or found, but with at least `least` classes.
    #[must_use]
    pub fn trimmed(&self, least: usize) -> Self {
        let used = |class: &usize| self.real(*class) + self.found(*class) > 0.0;
        let classes = (0..self.classes).rev().find(used).map_or(0, |last| last + 1).max(least).min(self.classes);
        let row = |real: usize| self.counts[real * self.classes..][..classes].iter().copied();
        Self { classes, counts: (0..classes).flat_map(row).collect() }
    }

    /// Returns the number of pixels whose real class is `more` above the found one.
    #[must_use]
    pub fn along(&self, more: usize) -> u64 {
        (more..self.classes).map(|real| self.counts[real * self.classes + real - more]).sum()
    }

    fn hit(&self, class: usize) -> f64 {
        self.counts[class * self.classes + class] as f64
    }

    fn real(&self, class: usize) -> f64 {
        self.counts[class * self.classes..][..self.classes].iter().sum::<u64>() as f64
    }

    fn found(&self, class: usize) -> f64 {
        (0..self.classes).map(|real| self.counts[real * self.classes + class]).sum::<u64>() as f64
    }

    fn each(&self, value: impl Fn(usize) -> Option<f64>) -> Vec<Option<f64>> {
        (0..self.classes).map(value).collect()
    }

    /// Returns the intersection over union of each class; `None` if it is neither there nor found.
    #[must_use]
    pub fn iou(&self) -> Vec<Option<f64>> {
        self.each(|class| ratio(self.hit(class), self.real(class) + self.found(class) - self.hit(class)))
    }

    /// Returns, for each class, twice the intersection over the sum of both areas.
    #[must_use]
    pub fn dice(&self) -> Vec<Option<f64>> {
        self.each(|class| ratio(2.0 * self.hit(class), self.real(class) + self.found(class)))
    }

    /// Returns the mean IoU of the classes that are there or found.
    #[must_use]
    pub fn mean_iou(&self) -> Option<f64> {
        mean(self.iou())
    }

    /// Returns the share of pixels that are right.
    #[must_use]
    pub fn pixel_accuracy(&self) -> Option<f64> {
        let all = self.counts.iter().sum::<u64>() as f64;
        ratio((0..self.classes).map(|class| self.hit(class)).sum(), all)
    }

    /// Returns the mean, over the classes that are there, of the share of their pixels that are right.
    #[must_use]
    pub fn mean_class_accuracy(&self) -> Option<f64> {
        mean(self.each(|class| ratio(self.hit(class), self.real(class))))
    }

    /// Returns the IoU weighted by how much of each class there is.
    #[must_use]
    pub fn frequency_weighted_iou(&self) -> Option<f64> {
        let all = self.counts.iter().sum::<u64>() as f64;
        let iou = self.iou();
        let sum = (0..self.classes).map(|class| self.real(class) * iou[class].unwrap_or(0.0)).sum();
        ratio(sum, all)
    }
}

fn ratio(part: f64, whole: f64) -> Option<f64> {
    (whole > 0.0).then(|| part / whole)
}

fn mean(values: Vec<Option<f64>>) -> Option<f64> {
    let known: Vec<f64> = values.into_iter().flatten().collect();
    ratio(known.iter().sum(), known.len() as f64)
}
