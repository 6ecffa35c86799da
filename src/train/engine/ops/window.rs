//! Windows over maps: which places of a map a kernel's window covers, and maps as columns of windows.

use crate::onnx::NodeProto;
use std::ops::Range;

/// How a window moves over a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Height and width of the kernel.
    pub kernel: [usize; 2],
    /// Steps down and right.
    pub stride: [usize; 2],
    /// Rows and columns of padding: top, left, bottom, right.
    pub pads: [usize; 4],
    /// Distance of the kernel's taps.
    pub dilation: [usize; 2],
}

impl Window {
    /// Reads the attributes of a node; `kernel` is that of its weights, if it has some.
    ///
    /// # Errors
    /// If an attribute is not for maps of two dimensions.
    pub fn read(node: &NodeProto, kernel: Option<[usize; 2]>) -> Result<Self, String> {
        let pair = |name: &str| -> Result<Option<[usize; 2]>, String> {
            let Some(ints) = node.ints(name) else { return Ok(None) };
            match ints {
                [a, b] if *a > 0 && *b > 0 => Ok(Some([*a as usize, *b as usize])),
                _ => Err(format!("`{name}` is {ints:?}; the engine works on maps of two dimensions")),
            }
        };
        let Some(kernel) = kernel.or(pair("kernel_shape")?) else {
            return Err("`kernel_shape` is missing".into());
        };
        let auto = node.text("auto_pad");
        if !matches!(auto.as_str(), "" | "NOTSET" | "VALID") {
            return Err(format!("`auto_pad` is {auto}; write the pads out"));
        }
        let pads = match node.ints("pads").unwrap_or(&[0; 4]) {
            [a, b, c, d] if [a, b, c, d].into_iter().all(|pad| *pad >= 0) => [*a, *b, *c, *d].map(|pad| pad as usize),
            other => return Err(format!("`pads` is {other:?}; expected four numbers from 0")),
        };
        Ok(Self {
            kernel,
            stride: pair("strides")?.unwrap_or([1, 1]),
            pads,
            dilation: pair("dilations")?.unwrap_or([1, 1]),
        })
    }

    /// The reach of a kernel with its gaps.
    fn reach(&self, axis: usize) -> usize {
        self.dilation[axis] * (self.kernel[axis] - 1) + 1
    }

    /// Height and width of the result; with `ceil`, a last window may hang over the end, but must begin before it.
    #[must_use]
    pub fn size(&self, map: [usize; 2], ceil: bool) -> Option<[usize; 2]> {
        let side = |axis: usize| {
            let padded = map[axis] + self.pads[axis] + self.pads[axis + 2];
            let free = padded.checked_sub(self.reach(axis))?;
            let steps = free / self.stride[axis];
            let hangs = ceil
                && !free.is_multiple_of(self.stride[axis])
                && (steps + 1) * self.stride[axis] < map[axis] + self.pads[axis];
            Some(steps + 1 + usize::from(hangs))
        };
        Some([side(0)?, side(1)?])
    }

    /// Height and width of a map that a window has spread over (the reverse of [`Window::size`]).
    #[must_use]
    pub fn spread(&self, map: [usize; 2], more: [usize; 2]) -> Option<[usize; 2]> {
        let side = |axis: usize| {
            let full = (map[axis].checked_sub(1)?) * self.stride[axis] + self.reach(axis) + more[axis];
            full.checked_sub(self.pads[axis] + self.pads[axis + 2])
        };
        Some([side(0)?, side(1)?])
    }

    /// For tap `tap` of an axis: the places of the result for which it lies on the map, and the map's place for the
    /// first of them.
    #[must_use]
    pub fn covered(&self, axis: usize, tap: usize, result: usize, map: usize) -> (Range<usize>, usize) {
        let (stride, shift) = (self.stride[axis], tap * self.dilation[axis]);
        let pad = self.pads[axis];
        // place = at * stride + shift - pad, from 0 to map - 1.
        let first = pad.saturating_sub(shift).div_ceil(stride);
        let end = if map + pad > shift { (map - 1 + pad - shift) / stride + 1 } else { 0 };
        let range = first.min(result)..end.min(result).max(first.min(result));
        let place = (range.start * stride + shift).saturating_sub(pad);
        (range, place)
    }

    /// Whether a window is one place, and each place has one.
    #[must_use]
    pub fn is_point(&self) -> bool {
        self.kernel == [1, 1] && self.stride == [1, 1] && self.pads == [0; 4]
    }

    /// Writes the windows of some rows of the result as columns: `[channels * taps, rows * width]`.
    pub fn columns(
        &self,
        map: &[f32],
        [channels, high, wide]: [usize; 3],
        rows: Range<usize>,
        width: usize,
        to: &mut [f32],
    ) {
        let len = rows.len() * width;
        let mut lines = to.chunks_exact_mut(len);
        for plane in map.chunks_exact(high * wide).take(channels) {
            for ty in 0..self.kernel[0] {
                let (down, top) = self.covered(0, ty, rows.end, high);
                for tx in 0..self.kernel[1] {
                    let Some(line) = lines.next() else { return };
                    let (across, left) = self.covered(1, tx, width, wide);
                    for (y, to) in rows.clone().zip(line.chunks_exact_mut(width)) {
                        if !down.contains(&y) {
                            to.fill(0.0);
                            continue;
                        }
                        let from = &plane[(top + (y - down.start) * self.stride[0]) * wide..][..wide];
                        to[..across.start].fill(0.0);
                        to[across.end..].fill(0.0);
                        let to = &mut to[across.clone()];
                        if self.stride[1] == 1 {
                            to.copy_from_slice(&from[left..left + to.len()]);
                        } else if !to.is_empty() {
                            let from = from[left..].iter().step_by(self.stride[1]);
                            to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
                        }
                    }
                }
            }
        }
    }

    /// Adds such columns to the places that they came from.
    pub fn add_columns(
        &self,
        from: &[f32],
        [channels, high, wide]: [usize; 3],
        rows: Range<usize>,
        width: usize,
        map: &mut [f32],
    ) {
        let len = rows.len() * width;
        let mut lines = from.chunks_exact(len);
        for plane in map.chunks_exact_mut(high * wide).take(channels) {
            for ty in 0..self.kernel[0] {
                let (down, top) = self.covered(0, ty, rows.end, high);
                for tx in 0..self.kernel[1] {
                    let Some(line) = lines.next() else { return };
                    let (across, left) = self.covered(1, tx, width, wide);
                    for (y, from) in rows.clone().zip(line.chunks_exact(width)) {
                        if !down.contains(&y) || across.is_empty() {
                            continue;
                        }
                        let to = &mut plane[(top + (y - down.start) * self.stride[0]) * wide..][left..wide];
                        let (from, to) = (&from[across.clone()], to.iter_mut().step_by(self.stride[1]));
                        to.zip(from).for_each(|(to, from)| *to += *from);
                    }
                }
            }
        }
    }

    /// How many rows of a result to treat at a time, so that their columns stay in the cache.
    #[must_use]
    pub fn strip(taps: usize, width: usize) -> usize {
        ((1 << 17) / (taps * width).max(1)).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn covered_places_are_those_on_the_map() {
        for kernel in 1..4 {
            for stride in 1..4 {
                for pad in 0..3 {
                    for dilation in 1..3 {
                        for map in 1..8 {
                            let window = Window {
                                kernel: [kernel; 2],
                                stride: [stride; 2],
                                pads: [pad, pad, 1, 1],
                                dilation: [dilation; 2],
                            };
                            let Some([result, _]) = window.size([map, map], false) else { continue };
                            for tap in 0..kernel {
                                let (range, first) = window.covered(0, tap, result, map);
                                for at in 0..result {
                                    let place = (at * stride + tap * dilation) as isize - pad as isize;
                                    let inside = (0..map as isize).contains(&place);
                                    assert_eq!(range.contains(&at), inside, "{window:?} {map} {tap} {at}");
                                    if inside {
                                        assert_eq!(first + (at - range.start) * stride, place as usize);
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
