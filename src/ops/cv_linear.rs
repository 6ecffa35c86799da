//! OpenCV's `INTER_LINEAR` on bytes, with its fixed-point arithmetic: networks with sharp thresholds notice a level. The
//! same bytes as OpenCV 4 and 5 when a picture is made smaller; at most a level off when a side is made longer.

use crate::types::Image;

/// Weights have eleven fractional bits (`INTER_RESIZE_COEF_BITS` of OpenCV's `resize.cpp`).
const ONE: f32 = 2048.0;

/// Where one axis of the output lies on the input: two neighbours, and their weights.
#[derive(Clone, Copy, Debug, Default)]
struct Tap {
    at: [u32; 2],
    weights: [i32; 2],
}

/// Resizes pictures, keeping its buffers from frame to frame.
#[derive(Debug, Default)]
pub(super) struct CvLinear {
    /// What the taps were computed for.
    of: Option<([f64; 4], [u32; 2])>,
    columns: Vec<Tap>,
    rows: Vec<Tap>,
    /// Two rows of the input, already resized across, and which they are.
    lines: [Vec<i32>; 2],
    held: [Option<u32>; 2],
}

impl CvLinear {
    /// Resizes the part `[x, y, w, h]` of `from` to `width` × `height` pixels of `into`, starting at `(left, top)`.
    pub(super) fn apply(&mut self, from: &Image, source: [f64; 4], target: [u32; 4], into: &mut Image) {
        let [left, top, width, height] = target;
        let of = Some((source, [width, height]));
        if self.of != of {
            taps(source[0], source[2], width, from.size.width, &mut self.columns);
            taps(source[1], source[3], height, from.size.height, &mut self.rows);
            self.of = of;
        }
        let channels = from.format.channels();
        let (line, stride) = (width as usize * channels, into.stride());
        self.lines.iter_mut().for_each(|buffer| buffer.resize(line, 0));
        self.held = [None; 2];
        for (number, tap) in self.rows.iter().enumerate() {
            // The lower row of one output is often the upper row of the next.
            if self.held[0] != Some(tap.at[0]) && self.held[1] == Some(tap.at[0]) {
                self.lines.swap(0, 1);
                self.held.swap(0, 1);
            }
            for (slot, row) in tap.at.into_iter().enumerate() {
                if self.held[slot] != Some(row) {
                    match channels {
                        3 => across::<3>(from.row(row), &self.columns, &mut self.lines[slot]),
                        _ => across::<1>(from.row(row), &self.columns, &mut self.lines[slot]),
                    }
                    self.held[slot] = Some(row);
                }
            }
            let start = (top as usize + number) * stride + left as usize * channels;
            let [upper, lower] = &self.lines;
            let [a, b] = tap.weights;
            for ((byte, u), l) in into.data[start..start + line].iter_mut().zip(upper).zip(lower) {
                *byte = ((((a * (u >> 4)) >> 16) + ((b * (l >> 4)) >> 16) + 2) >> 2) as u8;
            }
        }
    }
}

fn across<const C: usize>(row: &[u8], columns: &[Tap], out: &mut [i32]) {
    let pixels = row.as_chunks::<C>().0;
    for (out, tap) in out.as_chunks_mut::<C>().0.iter_mut().zip(columns) {
        let [a, b] = tap.at.map(|at| &pixels[at as usize]);
        for (channel, sum) in out.iter_mut().enumerate() {
            *sum = i32::from(a[channel]) * tap.weights[0] + i32::from(b[channel]) * tap.weights[1];
        }
    }
}

/// `count` outputs over `length` input pixels from `start`; nothing outside them is a neighbour.
fn taps(start: f64, length: f64, count: u32, limit: u32, taps: &mut Vec<Tap>) {
    let first = (start.floor().max(0.0) as u32).min(limit.saturating_sub(1));
    let last = ((start + length).ceil() as u32).clamp(first + 1, limit.max(first + 1)) - 1;
    let scale = length / f64::from(count.max(1));
    taps.clear();
    taps.extend((0..count).map(|at| {
        let place = (start + (f64::from(at) + 0.5) * scale - 0.5) as f32;
        let lower = place.floor();
        let share = place - lower;
        let (at, share) = match lower as i64 {
            lower if lower < i64::from(first) => (first, 0.0),
            lower if lower >= i64::from(last) => (last, 0.0),
            lower => (lower as u32, share),
        };
        let weight = |share: f32| (share * ONE).round_ties_even() as i32;
        Tap { at: [at, (at + 1).min(last)], weights: [weight(1.0 - share), weight(share)] }
    }));
}
