//! Nested loops over values that lie in different orders: the axes are sorted and joined once, so that the inner loop is
//! long.

use super::pack::share;
use super::view::View;

/// Axes at most: ONNX graphs of this field have up to six.
const AXES: usize = 8;

/// Loops over `N` operands of the same sides; the first is the one that is written.
#[derive(Clone, Debug)]
pub struct Loops<const N: usize> {
    offsets: [usize; N],
    /// Outer axes: sides and strides.
    outer: Vec<(usize, [usize; N])>,
    /// The inner axis.
    pub inner: usize,
    pub strides: [usize; N],
}

impl<const N: usize> Loops<N> {
    /// Loops over these views; `None` if their sides differ or are too many.
    #[must_use]
    pub fn new(views: [&View; N]) -> Option<Self> {
        let sides = &views[0].sides;
        if views.iter().any(|view| view.sides != *sides) {
            return None;
        }
        let mut axes: Vec<(usize, [usize; N])> = (0..sides.len())
            .filter(|at| sides[*at] != 1)
            .map(|at| (sides[at], views.map(|view| view.strides[at])))
            .collect();
        axes.sort_by_key(|(_, strides)| std::cmp::Reverse(strides[0]));
        let mut joined: Vec<(usize, [usize; N])> = Vec::new();
        for (side, strides) in axes {
            match joined.last_mut() {
                Some((all, last)) if (0..N).all(|at| last[at] == side * strides[at]) => {
                    (*all, *last) = (*all * side, strides);
                }
                _ => joined.push((side, strides)),
            }
        }
        if joined.len() > AXES {
            return None;
        }
        // A few channels of many pixels: along the pixels.
        let count = joined.len();
        if count >= 2 && joined[count - 1].0 < 8 && joined[count - 2].0 > joined[count - 1].0 {
            joined.swap(count - 1, count - 2);
        }
        let (inner, strides) = joined.pop().unwrap_or((1, [0; N]));
        Some(Self { offsets: views.map(|view| view.offset), outer: joined, inner, strides })
    }

    /// Calls `line` with the offsets of each inner line of a part.
    pub fn each(&self, part: usize, parts: usize, mut line: impl FnMut([usize; N])) {
        let Some((side, strides)) = self.outer.first() else {
            if part == 0 {
                line(self.offsets);
            }
            return;
        };
        let (first, count) = share(*side, parts, part);
        if count == 0 {
            return;
        }
        let rest = &self.outer[1..];
        let mut at = [0_usize; AXES];
        let mut offsets = self.offsets;
        (0..N).for_each(|n| offsets[n] += first * strides[n]);
        let mut done = 0;
        loop {
            line(offsets);
            // Like an odometer, from the innermost of the outer axes.
            let mut axis = rest.len();
            loop {
                if axis == 0 {
                    done += 1;
                    if done == count {
                        return;
                    }
                    (0..N).for_each(|n| offsets[n] += strides[n]);
                    break;
                }
                axis -= 1;
                let (side, strides) = &rest[axis];
                at[axis] += 1;
                if at[axis] < *side {
                    (0..N).for_each(|n| offsets[n] += strides[n]);
                    break;
                }
                (0..N).for_each(|n| offsets[n] -= (side - 1) * strides[n]);
                at[axis] = 0;
            }
        }
    }
}
