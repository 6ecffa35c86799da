//! Where a value lies in a buffer: sides and strides, so that slices, transpositions and most reshapes cost nothing.

/// A value of known sides inside a buffer. Offsets and strides are in floats.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    pub buffer: usize,
    pub offset: usize,
    pub sides: Vec<usize>,
    pub strides: Vec<usize>,
}

/// A map `[H, W, C]` whose channels lie side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Map {
    pub buffer: usize,
    pub offset: usize,
    pub height: usize,
    pub width: usize,
    pub channels: usize,
    pub row: usize,
    pub pixel: usize,
}

impl Map {
    /// Whether the pixels of all rows lie at one distance, as in a list.
    #[must_use]
    pub fn flat(&self) -> bool {
        self.height == 1 || self.row == self.width * self.pixel
    }

    /// One past the last float.
    #[must_use]
    pub fn end(&self) -> usize {
        self.offset + (self.height - 1) * self.row + (self.width - 1) * self.pixel + self.channels
    }

    /// Some of its channels.
    #[must_use]
    pub fn part(self, channel: usize, channels: usize) -> Self {
        Self { offset: self.offset + channel, channels, ..self }
    }
}

impl View {
    /// A value whose last side lies side by side.
    #[must_use]
    pub fn dense(buffer: usize, sides: &[usize]) -> Self {
        Self { buffer, offset: 0, sides: sides.to_vec(), strides: dense_strides(sides) }
    }

    /// As a map, if it is `[1, C, H, W]` with its channels side by side.
    #[must_use]
    pub fn map(&self) -> Option<Map> {
        let (&[1, channels, height, width], &[_, one, row, pixel]) = (self.sides.as_slice(), self.strides.as_slice())
        else {
            return None;
        };
        // The stride of a side of 1 may say nothing.
        let row = if height == 1 && row == 0 { width * pixel } else { row };
        (one == 1 || channels == 1).then_some(Map {
            buffer: self.buffer,
            offset: self.offset,
            height,
            width,
            channels,
            row,
            pixel,
        })
    }

    /// The number of values.
    #[must_use]
    pub fn volume(&self) -> usize {
        self.sides.iter().product()
    }

    /// Sides in another order.
    #[must_use]
    pub fn transpose(&self, order: &[usize]) -> Self {
        let pick = |of: &[usize]| order.iter().map(|at| of[*at]).collect();
        Self { sides: pick(&self.sides), strides: pick(&self.strides), ..*self }
    }

    /// `length` values of a side from `start` on, each `step`-th.
    #[must_use]
    pub fn slice(&self, axis: usize, start: usize, length: usize, step: usize) -> Self {
        let mut part = self.clone();
        part.offset += start * part.strides[axis];
        part.sides[axis] = length;
        part.strides[axis] *= step;
        part
    }

    /// Other sides for the same values in the same order, if strides can say it.
    #[must_use]
    pub fn reshape(&self, to: &[usize]) -> Option<Self> {
        if self.volume() != to.iter().product::<usize>() || self.volume() == 0 {
            return None;
        }
        // Runs of sides that lie like one, without sides of 1.
        let mut runs: Vec<(usize, usize)> = Vec::new();
        for (&side, &stride) in self.sides.iter().zip(&self.strides).filter(|(side, _)| **side != 1) {
            match runs.last_mut() {
                Some((all, last)) if *last == side * stride => (*all, *last) = (*all * side, stride),
                _ => runs.push((side, stride)),
            }
        }
        let mut strides = vec![0; to.len()];
        let mut runs = runs.into_iter();
        let (mut left, mut stride) = (1, 0);
        for (&side, own) in to.iter().zip(&mut strides).filter(|(side, _)| **side != 1) {
            if left == 1 {
                (left, stride) = runs.next()?;
            }
            if !left.is_multiple_of(side) {
                return None;
            }
            left /= side;
            *own = left * stride;
        }
        Some(Self { buffer: self.buffer, offset: self.offset, sides: to.to_vec(), strides })
    }

    /// Stretched to the sides of another by the rules of ONNX: missing and unit sides repeat.
    #[must_use]
    pub fn broadcast(&self, to: &[usize]) -> Option<Self> {
        let missing = to.len().checked_sub(self.sides.len())?;
        let mut strides = vec![0; to.len()];
        for (at, (&side, &stride)) in self.sides.iter().zip(&self.strides).enumerate() {
            if side == to[missing + at] {
                strides[missing + at] = if side == 1 { 0 } else { stride };
            } else if side != 1 {
                return None;
            }
        }
        Some(Self { sides: to.to_vec(), strides, ..*self })
    }

    /// One past the last float.
    #[must_use]
    pub fn end(&self) -> usize {
        let reach: usize =
            self.sides.iter().zip(&self.strides).map(|(side, stride)| side.saturating_sub(1) * stride).sum();
        self.offset + reach + 1
    }
}

/// Strides of values that lie side by side in the order of their sides.
#[must_use]
pub fn dense_strides(sides: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; sides.len()];
    for at in (1..sides.len()).rev() {
        strides[at - 1] = strides[at] * sides[at];
    }
    strides
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reshapes_that_strides_can_say_cost_nothing() {
        // A map of 2 × 3 pixels and 4 channels, without a border.
        let map = View { buffer: 0, offset: 5, sides: vec![1, 4, 2, 3], strides: vec![24, 1, 12, 4] };
        let list = map.transpose(&[0, 2, 3, 1]).reshape(&[1, 12, 2]).unwrap();
        assert_eq!((list.strides[1], list.strides[2]), (2, 1));
        assert_eq!(map.reshape(&[1, 4, 6]).unwrap().strides[1..], [1, 4]);
        // Two halves of the channels, exchanged, cannot be one side again.
        let pairs = map.reshape(&[1, 2, 2, 2, 3]).unwrap();
        assert_eq!(pairs.strides[1..3], [2, 1]);
        assert_eq!(pairs.transpose(&[0, 2, 1, 3, 4]).reshape(&[1, 4, 2, 3]), None);
        // With a border, rows are not one run.
        let bordered = View { strides: vec![60, 1, 20, 4], ..map };
        assert_eq!(bordered.reshape(&[1, 4, 6]), None);
        assert_eq!(bordered.map().unwrap().end(), 5 + 20 + 8 + 4);
    }

    #[test]
    fn sides_of_one_repeat() {
        let column = View::dense(0, &[3, 1]);
        assert_eq!(column.broadcast(&[2, 3, 4]).unwrap().strides, [0, 1, 0]);
        assert_eq!(column.broadcast(&[2, 4]), None);
    }
}
