//! Upsamples small float maps to the size of a picture: values, or the class with the largest score at each pixel.

/// Where one axis of the output lies on the map: for each output, its lower and upper neighbour and the share of the
/// upper.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Axis {
    lower: Vec<u32>,
    upper: Vec<u32>,
    share: Vec<f32>,
}

impl Axis {
    /// Half-pixel centres: PyTorch's `align_corners=False`, TensorFlow 2, ONNX `half_pixel`.
    #[must_use]
    pub fn half_pixel(cells: usize, outputs: usize) -> Self {
        let scale = cells as f32 / outputs.max(1) as f32;
        Self::new(cells, outputs, |at| (at as f32 + 0.5) * scale - 0.5)
    }

    /// Aligned corners: PyTorch's `align_corners=True`.
    #[must_use]
    pub fn align_corners(cells: usize, outputs: usize) -> Self {
        let scale = if outputs > 1 { (cells.max(1) - 1) as f32 / (outputs - 1) as f32 } else { 0.0 };
        Self::new(cells, outputs, |at| at as f32 * scale)
    }

    /// The nearest cell, at `floor(at * scale)`: PyTorch's `nearest`, TensorFlow 2's `UpSampling2D`.
    #[must_use]
    pub fn nearest(cells: usize, outputs: usize) -> Self {
        let cell = |at: usize| (at * cells / outputs.max(1)).min(cells.max(1) - 1) as f32;
        Self::new(cells, outputs, cell)
    }

    /// Any place on the map for each output, in cells; places outside are clamped to the edge.
    #[must_use]
    pub fn new(cells: usize, outputs: usize, place: impl Fn(usize) -> f32) -> Self {
        let last = cells.max(1) - 1;
        let mut axis = Self::default();
        for at in 0..outputs {
            let place = place(at).clamp(0.0, last as f32);
            let lower = (place as usize).min(last);
            axis.lower.push(lower as u32);
            axis.upper.push((lower + 1).min(last) as u32);
            axis.share.push(place - lower as f32);
        }
        axis
    }

    /// The number of outputs.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.lower.len()
    }

    /// Whether there is no output.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.lower.is_empty()
    }

    /// The cell nearest to an output; the upper one if two are equally near.
    #[must_use]
    pub fn nearest_cell(&self, index: usize) -> usize {
        let (lower, upper, share) = self.at(index);
        if share < 0.5 { lower } else { upper }
    }

    fn at(&self, index: usize) -> (usize, usize, f32) {
        (self.lower[index] as usize, self.upper[index] as usize, self.share[index])
    }
}

/// Scores `[classes]` at each cell of a map, in either order of axes.
#[derive(Clone, Copy, Debug)]
pub struct Scores<'a> {
    values: &'a [f32],
    classes: usize,
    width: usize,
    height: usize,
    step_class: usize,
    step_x: usize,
}

impl<'a> Scores<'a> {
    /// From planes, `[classes, H, W]`.
    ///
    /// # Panics
    /// If there are not `classes * height * width` values.
    #[must_use]
    pub fn planes(values: &'a [f32], classes: usize, height: usize, width: usize) -> Self {
        assert_eq!(values.len(), classes * height * width, "one value per class and cell");
        Self { values, classes, width, height, step_class: height * width, step_x: 1 }
    }

    /// From rows of cells, `[H, W, classes]`.
    ///
    /// # Panics
    /// If there are not `classes * height * width` values.
    #[must_use]
    pub fn cells(values: &'a [f32], classes: usize, height: usize, width: usize) -> Self {
        assert_eq!(values.len(), classes * height * width, "one value per class and cell");
        Self { values, classes, width, height, step_class: 1, step_x: classes }
    }

    fn value(&self, class: usize, y: usize, x: usize) -> f32 {
        self.values[class * self.step_class + (y * self.width + x) * self.step_x]
    }

    /// The score of a class interpolated between four cells: first down, then across, as in [`argmax`].
    fn between(&self, class: usize, (y0, y1, v): (usize, usize, f32), (x0, x1, u): (usize, usize, f32)) -> f32 {
        let down = |x: usize| self.value(class, y0, x) * (1.0 - v) + self.value(class, y1, x) * v;
        down(x0) * (1.0 - u) + down(x1) * u
    }

    fn best_between(&self, y: (usize, usize, f32), x: (usize, usize, f32)) -> u8 {
        let mut best = (0, f32::NEG_INFINITY);
        for class in 0..self.classes {
            let value = self.between(class, y, x);
            if value > best.1 {
                best = (class, value);
            }
        }
        best.0 as u8
    }

    /// Finds the best class of each cell; the lowest if several are equal.
    pub fn argmax(&self, best: &mut Vec<u8>) {
        best.clear();
        for y in 0..self.height {
            for x in 0..self.width {
                best.push(self.best_between((y, y, 0.0), (x, x, 0.0)));
            }
        }
    }
}

/// Bilinear upsampling of one plane `[H, W]`.
pub fn bilinear(plane: &[f32], width: usize, down: &Axis, across: &Axis, out: &mut Vec<f32>) {
    let scores = Scores::planes(plane, 1, plane.len() / width.max(1), width);
    out.clear();
    for y in 0..down.len() {
        out.extend((0..across.len()).map(|x| scores.between(0, down.at(y), across.at(x))));
    }
}

/// For each output pixel, finds the class whose bilinearly upsampled score is largest, by computing every class at
/// every pixel. [`argmax`] produces the same bytes faster; this is what it is tested and timed against.
pub fn argmax_plain(scores: &Scores<'_>, down: &Axis, across: &Axis, out: &mut Vec<u8>) {
    out.clear();
    for y in 0..down.len() {
        out.extend((0..across.len()).map(|x| scores.best_between(down.at(y), across.at(x))));
    }
}

/// Produces the same bytes as [`argmax_plain`]: if one class is best at all four cells around a pixel, it is also best
/// between them (a weighted mean preserves order, and so does rounding), so only pixels between different classes are
/// computed.
pub fn argmax(scores: &Scores<'_>, down: &Axis, across: &Axis, best: &mut Vec<u8>, out: &mut Vec<u8>) {
    scores.argmax(best);
    out.clear();
    // NaN has no order; a map that contains one is computed in full.
    if scores.values.iter().any(|v| v.is_nan()) {
        return argmax_plain(scores, down, across, out);
    }
    for row in 0..down.len() {
        let y = down.at(row);
        let (upper, lower) = (&best[y.0 * scores.width..][..scores.width], &best[y.1 * scores.width..][..scores.width]);
        let mut column = 0;
        while column < across.len() {
            let x = across.at(column);
            let class = upper[x.0];
            let same = upper[x.1] == class && lower[x.0] == class && lower[x.1] == class;
            let end = (column..across.len()).find(|&c| across.lower[c] as usize != x.0).unwrap_or(across.len());
            if same {
                out.resize(out.len() + end - column, class);
            } else {
                out.extend((column..end).map(|c| scores.best_between(y, across.at(c))));
            }
            column = end;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(count: usize, smooth: usize) -> Vec<f32> {
        let mut state = 7_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 24) as f32
        };
        // Steps of an eighth make ties.
        let coarse: Vec<f32> = (0..count.div_ceil(smooth)).map(|_| (next() * 8.0).floor() / 8.0).collect();
        (0..count).map(|at| coarse[at / smooth]).collect()
    }

    #[test]
    fn the_fast_way_gives_the_same_bytes() {
        for smooth in [1, 3, 11] {
            let (classes, h, w) = (5, 9, 11);
            let values = noise(classes * h * w, smooth);
            let scores = [Scores::planes(&values, classes, h, w), Scores::cells(&values, classes, h, w)];
            for scores in scores {
                for (down, across) in [
                    (Axis::half_pixel(h, 65), Axis::half_pixel(w, 81)),
                    (Axis::align_corners(h, 65), Axis::align_corners(w, 81)),
                    (Axis::half_pixel(h, 4), Axis::half_pixel(w, 3)),
                    (Axis::nearest(h, 20), Axis::nearest(w, 40)),
                ] {
                    let (mut plain, mut fast) = (Vec::new(), Vec::new());
                    argmax_plain(&scores, &down, &across, &mut plain);
                    argmax(&scores, &down, &across, &mut Vec::new(), &mut fast);
                    assert_eq!(plain, fast);
                }
            }
        }
    }

    #[test]
    fn a_step_is_drawn_out_between_the_middles_of_its_cells() {
        let mut out = Vec::new();
        bilinear(&[0.0, 1.0], 2, &Axis::half_pixel(1, 1), &Axis::half_pixel(2, 4), &mut out);
        assert_eq!(out, [0.0, 0.25, 0.75, 1.0]);
        bilinear(&[0.0, 1.0], 2, &Axis::half_pixel(1, 1), &Axis::align_corners(2, 3), &mut out);
        assert_eq!(out, [0.0, 0.5, 1.0]);
    }
}
