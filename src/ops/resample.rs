//! Filters that `fast_image_resize` lacks, or whose numbers differ from those of the reference programs. Plain code: a
//! weighted sum along each axis.

use crate::types::Image;

/// A filter of this module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kernel {
    /// Pillow `BOX`.
    Box,
    /// Pillow `LANCZOS`: three lobes.
    Lanczos,
    /// OpenCV `INTER_AREA`: each pixel is weighted by the part of it that is covered.
    CvArea,
    /// OpenCV `INTER_CUBIC`: sixteen pixels (Keys 1981, a = -0.75), however large the reduction.
    CvCubic,
}

/// For one output: the first input, and the weights from that input on.
#[derive(Clone, Debug, Default)]
struct Taps {
    first: usize,
    weights: Vec<f32>,
}

/// Resizes the part `[x, y, w, h]` of `from` to `width` × `height` pixels of `into`, starting at `(left, top)`.
pub(super) fn resample(
    from: &Image,
    [x, y, w, h]: [f64; 4],
    kernel: Kernel,
    [left, top, width, height]: [u32; 4],
    into: &mut Image,
) {
    let (across, down) = (w / f64::from(width), h / f64::from(height));
    // OpenCV's area filter averages areas only if neither axis is enlarged.
    let shrinks = across >= 1.0 && down >= 1.0;
    let columns = taps(kernel, shrinks, x, across, width, from.size.width);
    let rows = taps(kernel, shrinks, y, down, height, from.size.height);
    let channels = from.format.channels();
    let (width, stride) = (width as usize, into.stride());
    // Pillow rounds to levels between the two passes, OpenCV does not.
    let rounds = matches!(kernel, Kernel::Box | Kernel::Lanczos);
    let mut middle = vec![0.0_f32; from.size.height as usize * width * channels];
    for (line, source) in
        middle.chunks_exact_mut((width * channels).max(1)).zip(from.data.chunks_exact(from.stride().max(1)))
    {
        for (pixel, taps) in line.chunks_exact_mut(channels).zip(&columns) {
            for (channel, value) in pixel.iter_mut().enumerate() {
                let inputs = source[taps.first * channels + channel..].iter().step_by(channels);
                let sum: f32 = inputs.zip(&taps.weights).map(|(&level, weight)| f32::from(level) * weight).sum();
                *value = if rounds { level(sum).into() } else { sum };
            }
        }
    }
    let line = width * channels;
    for (row, taps) in rows.iter().enumerate() {
        let start = (top as usize + row) * stride + left as usize * channels;
        for (column, byte) in into.data[start..start + line].iter_mut().enumerate() {
            let inputs = middle[taps.first * line + column..].iter().step_by(line);
            *byte = level(inputs.zip(&taps.weights).map(|(value, weight)| value * weight).sum());
        }
    }
}

fn level(value: f32) -> u8 {
    value.round().clamp(0.0, 255.0) as u8
}

fn taps(kernel: Kernel, shrinks: bool, offset: f64, scale: f64, outputs: u32, inputs: u32) -> Vec<Taps> {
    let at = |output: u32| f64::from(output);
    let one = |output: u32| match kernel {
        Kernel::Box => pillow(offset + (at(output) + 0.5) * scale, scale, inputs, 0.5, |x| {
            if x > -0.5 && x <= 0.5 { 1.0 } else { 0.0 }
        }),
        Kernel::Lanczos => pillow(offset + (at(output) + 0.5) * scale, scale, inputs, 3.0, |x| {
            if (-3.0..3.0).contains(&x) { sinc(x) * sinc(x / 3.0) } else { 0.0 }
        }),
        Kernel::CvArea if shrinks => covered(offset + at(output) * scale, scale, inputs),
        Kernel::CvArea => {
            // If an axis is enlarged, OpenCV takes two pixels, each weighted by how much of the new one it covers.
            let first = (offset + at(output) * scale).floor();
            let share = (at(output) + 1.0 + offset / scale) - (first + 1.0) / scale;
            let share = if share <= 0.0 { 0.0 } else { share - share.floor() };
            around(first, &[1.0 - share, share], inputs)
        }
        Kernel::CvCubic => {
            let place = offset + (at(output) + 0.5) * scale - 0.5;
            around(place.floor() - 1.0, &cubic(place - place.floor()), inputs)
        }
    };
    (0..outputs).map(one).collect()
}

/// Pillow's `precompute_coeffs`: a filter that widens with the reduction, its weights normalised to sum to 1.
fn pillow(centre: f64, scale: f64, inputs: u32, support: f64, filter: impl Fn(f64) -> f64) -> Taps {
    let wide = scale.max(1.0);
    let support = support * wide;
    let first = ((centre - support + 0.5) as i64).max(0);
    let last = ((centre + support + 0.5) as i64).min(i64::from(inputs)).max(first + 1);
    let raw: Vec<f64> = (first..last).map(|x| filter((x as f64 - centre + 0.5) / wide)).collect();
    let sum: f64 = raw.iter().sum();
    let weights = raw.iter().map(|w| if sum == 0.0 { 0.0 } else { w / sum } as f32).collect();
    Taps { first: first as usize, weights }
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 { 1.0 } else { (x * std::f64::consts::PI).sin() / (x * std::f64::consts::PI) }
}

/// Each input, weighted by the part of it between `start` and `start + length`.
fn covered(start: f64, length: f64, inputs: u32) -> Taps {
    let end = (start + length).min(f64::from(inputs));
    let first = start.floor().max(0.0);
    let mut weights = Vec::new();
    let mut x = first;
    while x < end - 1e-9 && x < f64::from(inputs) {
        weights.push((((x + 1.0).min(end) - x.max(start)) / (end - start)) as f32);
        x += 1.0;
    }
    Taps { first: first as usize, weights }
}

/// Weights of pixels from `first` on; those outside are added to the edge pixel.
fn around(first: f64, weights: &[f64], inputs: u32) -> Taps {
    let last = i64::from(inputs) - 1;
    let places: Vec<i64> = (0..weights.len() as i64).map(|step| (first as i64 + step).clamp(0, last)).collect();
    let begin = places[0];
    let mut found = vec![0.0; (places[places.len() - 1] - begin + 1) as usize];
    for (place, weight) in places.iter().zip(weights) {
        found[(place - begin) as usize] += *weight as f32;
    }
    Taps { first: begin as usize, weights: found }
}

fn cubic(t: f64) -> [f64; 4] {
    const A: f64 = -0.75;
    let near = |x: f64| ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0;
    let far = |x: f64| ((A * x - 5.0 * A) * x + 8.0 * A) * x - 4.0 * A;
    [far(t + 1.0), near(t), near(1.0 - t), far(2.0 - t)]
}
