//! Masks in COCO's run-length form; bit for bit equal to those of pycocotools 2.0.11 (`maskApi.c`).
//!
//! Runs go down the columns; the first run is of zeros.

use crate::types::Rle;

/// How masks are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merge {
    /// Pixels that are in any mask.
    Union,
    /// Pixels that are in all masks.
    Intersection,
}

impl Rle {
    /// Encodes a mask of `height` rows of `width` bytes; anything but 0 is inside.
    #[must_use]
    pub fn of_mask(mask: &[u8], height: usize, width: usize) -> Self {
        let columns = (0..width).flat_map(|x| (0..height).map(move |y| mask[y * width + x] != 0));
        Self::of_column_order(columns, height, width)
    }

    fn of_column_order(pixels: impl Iterator<Item = bool>, height: usize, width: usize) -> Self {
        let (mut counts, mut value, mut run) = (Vec::new(), false, 0);
        for pixel in pixels {
            if pixel != value {
                counts.push(run);
                (value, run) = (pixel, 0);
            }
            run += 1;
        }
        counts.push(run);
        Self { height, width, counts }
    }

    /// Returns the mask as `height` rows of `width` bytes, 0 or 1.
    #[must_use]
    pub fn to_mask(&self) -> Vec<u8> {
        let mut mask = vec![0; self.height * self.width];
        for (at, inside) in self.column_order().enumerate().take(mask.len()) {
            let (x, y) = (at / self.height.max(1), at % self.height.max(1));
            mask[y * self.width + x] = u8::from(inside);
        }
        mask
    }

    fn column_order(&self) -> impl Iterator<Item = bool> {
        let run = |(index, count): (usize, &u32)| std::iter::repeat_n(index % 2 == 1, *count as usize);
        self.counts.iter().enumerate().flat_map(run)
    }

    /// Returns the number of pixels inside.
    #[must_use]
    pub fn area(&self) -> u64 {
        self.counts.iter().skip(1).step_by(2).map(|&count| u64::from(count)).sum()
    }

    /// Returns left, top, width, height of the smallest box around it; zeros if it is empty.
    #[must_use]
    pub fn bbox(&self) -> [f64; 4] {
        let (mut x1, mut y1, mut x2, mut y2) = (usize::MAX, usize::MAX, 0, 0);
        for (at, _) in self.column_order().enumerate().filter(|(_, inside)| *inside) {
            let (x, y) = (at / self.height, at % self.height);
            (x1, y1, x2, y2) = (x1.min(x), y1.min(y), x2.max(x + 1), y2.max(y + 1));
        }
        if x2 == 0 { [0.0; 4] } else { [x1, y1, x2 - x1, y2 - y1].map(|side| side as f64) }
    }

    /// Returns the intersection over union; over this mask's area alone if the other is a crowd.
    #[must_use]
    pub fn iou(&self, real: &Self, crowd: bool) -> f64 {
        let inside = self.column_order().zip(real.column_order()).filter(|(a, b)| *a && *b).count() as f64;
        let whole = if crowd { self.area() as f64 } else { (self.area() + real.area()) as f64 - inside };
        if inside == 0.0 { 0.0 } else { inside / whole }
    }

    /// Joins masks of the same size.
    #[must_use]
    pub fn merge(masks: &[Self], how: Merge) -> Self {
        let Some(first) = masks.first() else { return Self::default() };
        let mut all: Vec<bool> = first.column_order().collect();
        for mask in &masks[1..] {
            for (pixel, other) in all.iter_mut().zip(mask.column_order()) {
                *pixel = if how == Merge::Union { *pixel || other } else { *pixel && other };
            }
        }
        Self::of_column_order(all.into_iter(), first.height, first.width)
    }

    /// Reads the text form; `None` if it is invalid, or does not have `height` times `width` pixels.
    #[must_use]
    pub fn of_text(text: &str, height: usize, width: usize) -> Option<Self> {
        let mut counts: Vec<u32> = Vec::new();
        let mut letters = text.bytes();
        while letters.len() > 0 {
            let (mut value, mut shift) = (0i64, 0);
            loop {
                let letter = letters.next()?.checked_sub(48).filter(|letter| *letter < 64)?;
                value |= i64::from(letter & 0x1f).checked_shl(shift).filter(|_| shift <= 35)?;
                shift += 5;
                if letter & 0x20 == 0 {
                    value |= if letter & 0x10 != 0 { -1i64 << shift } else { 0 };
                    break;
                }
            }
            let before = if counts.len() > 2 { i64::from(counts[counts.len() - 2]) } else { 0 };
            counts.push(u32::try_from(value + before).ok()?);
        }
        Self::of_counts(counts, height, width)
    }

    /// Creates a mask from the lengths of runs; `None` if they do not add up to `height` times `width` pixels.
    #[must_use]
    pub fn of_counts(counts: Vec<u32>, height: usize, width: usize) -> Option<Self> {
        let sum: u64 = counts.iter().map(|&count| u64::from(count)).sum();
        (sum == (height * width) as u64).then_some(Self { height, width, counts })
    }

    /// Fills a polygon: `[x, y]` corners in pixels. A pixel's centre decides, on a grid five times as fine.
    #[must_use]
    pub fn of_polygon(corners: &[[f64; 2]], height: usize, width: usize) -> Self {
        const FINE: f64 = 5.0;
        let fine: Vec<[i64; 2]> = corners.iter().map(|corner| corner.map(|v| (FINE * v + 0.5) as i64)).collect();
        let mut border: Vec<[i64; 2]> = Vec::new();
        for (at, &from) in fine.iter().enumerate() {
            edge(from, fine[(at + 1) % fine.len()], &mut border);
        }
        // Where the border crosses the middle of a column.
        let mut crossings = Vec::new();
        for pair in border.windows(2) {
            let ([before_x, before_y], [x, y]) = (pair[0], pair[1]);
            if x == before_x {
                continue;
            }
            let column = ((if x < before_x { x } else { x - 1 }) as f64 + 0.5) / FINE - 0.5;
            if column.fract() != 0.0 || column < 0.0 || column > width as f64 - 1.0 {
                continue;
            }
            let row = ((y.min(before_y) as f64 + 0.5) / FINE - 0.5).clamp(0.0, height as f64).ceil();
            crossings.push((column as usize * height + row as usize) as u32);
        }
        crossings.push((height * width) as u32);
        crossings.sort_unstable();
        let mut counts: Vec<u32> = Vec::new();
        let (mut last, mut joins) = (0, false);
        for crossing in crossings {
            let run = crossing - last;
            last = crossing;
            // Two crossings at the same place cancel out: the runs around them are one.
            if let Some(count) = counts.last_mut().filter(|_| std::mem::take(&mut joins)) {
                *count += run;
            } else if run == 0 && !counts.is_empty() {
                joins = true;
            } else {
                counts.push(run);
            }
        }
        Self { height, width, counts }
    }
}

/// Appends the points of a straight edge, both ends included, in its direction.
fn edge(from: [i64; 2], to: [i64; 2], out: &mut Vec<[i64; 2]>) {
    let (dx, dy) = ((to[0] - from[0]).abs(), (to[1] - from[1]).abs());
    let along = usize::from(dx < dy);
    let steps = dx.max(dy);
    let flip = from[along] > to[along];
    let (start, end) = if flip { (to, from) } else { (from, to) };
    let slope = if steps == 0 { 0.0 } else { (end[1 - along] - start[1 - along]) as f64 / steps as f64 };
    for step in 0..=steps {
        let t = if flip { steps - step } else { step };
        let across = (start[1 - along] as f64 + slope * t as f64 + 0.5) as i64;
        out.push(if along == 0 { [t + start[0], across] } else { [across, t + start[1]] });
    }
}
