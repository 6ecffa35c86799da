//! Normalisation: over a batch (Ioffe and Szegedy 2015), with statistics that are frozen or taken from the batch, and over
//! groups of channels (Wu and He 2018).

use super::graph::{Read, inputs};
use crate::onnx::NodeProto;
use crate::train::engine::kernel::{Keeps, Kernel, Pass, Saved};
use crate::train::engine::tensor::Tensor;
use rayon::prelude::*;

struct Batch {
    epsilon: f32,
    /// The share of the old running statistics that stays, if they are taken from the batch.
    momentum: Option<f32>,
}

pub(super) fn batch(node: &NodeProto) -> Read<'_> {
    let momentum = (node.int("training_mode", 0) != 0).then(|| node.float("momentum", 0.9));
    Ok((Box::new(Batch { epsilon: node.float("epsilon", 1e-5), momentum }), inputs(node, 5)))
}

/// Two sums over pairs of values, each in eight parts, so that additions need not wait for each other.
fn sums(a: &[f32], b: &[f32], of: impl Fn(f64, f64) -> [f64; 2]) -> [f64; 2] {
    let (mut first, mut second) = ([0.0; 8], [0.0; 8]);
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    for (a, b) in a.iter().zip(b) {
        for lane in 0..8 {
            let [x, y] = of(f64::from(a[lane]), f64::from(b[lane]));
            first[lane] += x;
            second[lane] += y;
        }
    }
    for (a, b) in a_rest.iter().zip(b_rest) {
        let [x, y] = of(f64::from(*a), f64::from(*b));
        first[0] += x;
        second[0] += y;
    }
    [first.iter().sum(), second.iter().sum()]
}

impl Batch {
    /// Mean, and one over the deviation, of each channel.
    fn statistics(&self, inputs: &[&Tensor]) -> (Vec<f32>, Vec<f32>) {
        let [n, c, area] = inputs[0].planes();
        if self.momentum.is_none() {
            let deviation = inputs[4].values.iter().map(|v| 1.0 / (v + self.epsilon).sqrt()).collect();
            return (inputs[3].values.clone(), deviation);
        }
        let channels = (0..c).into_par_iter().map(|channel| {
            let planes = || inputs[0].values.chunks_exact(area.max(1)).skip(channel).step_by(c);
            let count = (n * area).max(1) as f64;
            let mean = planes().map(|plane| sums(plane, plane, |x, _| [x, 0.0])[0]).sum::<f64>() / count;
            let square = |x: f64, _: f64| [(x - mean) * (x - mean), 0.0];
            let variance = planes().map(|plane| sums(plane, plane, square)[0]).sum::<f64>() / count;
            (mean as f32, variance as f32)
        });
        channels.unzip()
    }
}

impl Kernel for Batch {
    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        let channels = inputs[0].get(1).copied().unwrap_or(0);
        match inputs.iter().skip(1).find(|side| ***side != [channels]) {
            None if inputs.len() == 5 => Ok(inputs[0].to_vec()),
            _ => Err(format!("an input of {:?} with parameters of {:?}", inputs[0], &inputs[1..])),
        }
    }

    fn keeps(&self) -> Keeps {
        Keeps::INPUTS
    }

    fn forward(&self, inputs: &[&Tensor], output: &mut Tensor, saved: &mut Saved) {
        let [n, c, area] = inputs[0].planes();
        let (mean, mut deviation) = self.statistics(inputs);
        saved.values.clear();
        if let Some(momentum) = self.momentum {
            // The running variance is that of a sample (PyTorch, BatchNorm2d); the batch is normalised by its own.
            let count = (n * area) as f32;
            let sample = if count > 1.0 { count / (count - 1.0) } else { 1.0 };
            let mix = |old: f32, new: f32| momentum * old + (1.0 - momentum) * new;
            let means: Vec<f32> = mean.iter().zip(&inputs[3].values).map(|(new, old)| mix(*old, *new)).collect();
            let spread = deviation.iter().zip(&inputs[4].values).map(|(new, old)| mix(*old, *new * sample));
            let spread: Vec<f32> = spread.collect();
            deviation.iter_mut().for_each(|v| *v = 1.0 / (*v + self.epsilon).sqrt());
            saved.values.extend(mean.iter().chain(&deviation).chain(&means).chain(&spread));
        }
        let (scale, bias) = (&inputs[1].values, &inputs[2].values);
        let planes =
            output.values.par_chunks_mut(area.max(1)).zip(inputs[0].values.par_chunks(area.max(1))).enumerate();
        planes.for_each(|(plane, (to, from))| {
            let channel = plane % c;
            let factor = scale[channel] * deviation[channel];
            let shift = bias[channel] - mean[channel] * factor;
            to.iter_mut().zip(from).for_each(|(to, x)| *to = x * factor + shift);
        });
    }

    fn backward(&self, pass: Pass<'_>, gradients: &mut [Option<Vec<f32>>]) {
        let [n, c, area] = pass.inputs[0].planes();
        let (mean, deviation) = if self.momentum.is_some() {
            (pass.saved.values[..c].to_vec(), pass.saved.values[c..2 * c].to_vec())
        } else {
            self.statistics(pass.inputs)
        };
        let (x, g, scale) = (&pass.inputs[0].values, pass.gradient, &pass.inputs[1].values);
        let area = area.max(1);
        // Of each channel: the sum of the gradient, and that of the gradient times the normalised value.
        let sums: Vec<[f64; 2]> = (0..c)
            .into_par_iter()
            .map(|channel| {
                let planes = x.chunks_exact(area).zip(g.chunks_exact(area)).skip(channel).step_by(c);
                let (mean, deviation) = (f64::from(mean[channel]), f64::from(deviation[channel]));
                planes.fold([0.0, 0.0], |[all, dot], (x, g)| {
                    let [a, b] = sums(x, g, |x, g| [g, g * (x - mean)]);
                    [all + a, dot + b * deviation]
                })
            })
            .collect();
        if let Some(to) = &mut gradients[0] {
            let count = (n * area) as f64;
            to.par_chunks_mut(area).enumerate().for_each(|(plane, to)| {
                let channel = plane % c;
                let factor = scale[channel] * deviation[channel];
                let (x, g) = (&x[plane * area..][..area], &g[plane * area..][..area]);
                let [all, dot] = sums[channel].map(|sum| (sum / count) as f32);
                let (mean, deviation) = (mean[channel], deviation[channel]);
                if self.momentum.is_some() {
                    let all_of = to.iter_mut().zip(x).zip(g);
                    all_of.for_each(|((to, x), g)| *to += factor * (g - all - (x - mean) * deviation * dot));
                } else {
                    to.iter_mut().zip(g).for_each(|(to, g)| *to += factor * g);
                }
            });
        }
        for (input, part) in [(1, 1), (2, 0)] {
            if let Some(Some(to)) = gradients.get_mut(input) {
                to.iter_mut().zip(&sums).for_each(|(to, sum)| *to += sum[part] as f32);
            }
        }
    }

    fn updates(&self, saved: &Saved) -> Vec<(usize, Vec<f32>)> {
        if self.momentum.is_none() || saved.values.is_empty() {
            return Vec::new();
        }
        let c = saved.values.len() / 4;
        vec![(3, saved.values[2 * c..3 * c].to_vec()), (4, saved.values[3 * c..].to_vec())]
    }
}

struct Group {
    groups: usize,
    epsilon: f32,
}

pub(super) fn group(node: &NodeProto) -> Read<'_> {
    let groups = usize::try_from(node.int("num_groups", 1)).unwrap_or(0).max(1);
    Ok((Box::new(Group { groups, epsilon: node.float("epsilon", 1e-5) }), inputs(node, 3)))
}

impl Group {
    /// Mean, and one over the deviation, of each group of each picture.
    fn statistics(&self, x: &Tensor) -> Vec<[f64; 2]> {
        let [_, c, area] = x.planes();
        let len = (c / self.groups * area).max(1);
        let of = |values: &[f32]| {
            let mean = values.iter().map(|x| f64::from(*x)).sum::<f64>() / len as f64;
            let variance = values.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum::<f64>() / len as f64;
            [mean, 1.0 / (variance + f64::from(self.epsilon)).sqrt()]
        };
        x.values.par_chunks(len).map(of).collect()
    }
}

impl Kernel for Group {
    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        let channels = inputs[0].get(1).copied().unwrap_or(0);
        if channels % self.groups != 0 || inputs.len() != 3 || inputs[1] != [channels] || inputs[2] != [channels] {
            return Err(format!("{} groups of an input of {:?}", self.groups, inputs[0]));
        }
        Ok(inputs[0].to_vec())
    }

    fn keeps(&self) -> Keeps {
        Keeps::INPUTS
    }

    fn forward(&self, inputs: &[&Tensor], output: &mut Tensor, _: &mut Saved) {
        let [_, c, area] = inputs[0].planes();
        let (statistics, each) = (self.statistics(inputs[0]), c / self.groups);
        let (scale, bias) = (&inputs[1].values, &inputs[2].values);
        let planes = output.values.chunks_mut(area.max(1)).zip(inputs[0].values.chunks(area.max(1))).enumerate();
        for (plane, (to, from)) in planes {
            let [mean, deviation] = statistics[plane / each];
            let factor = f64::from(scale[plane % c]) * deviation;
            let shift = f64::from(bias[plane % c]) - mean * factor;
            to.iter_mut().zip(from).for_each(|(to, x)| *to = (f64::from(*x) * factor + shift) as f32);
        }
    }

    fn backward(&self, pass: Pass<'_>, gradients: &mut [Option<Vec<f32>>]) {
        let x = pass.inputs[0];
        let [_, c, area] = x.planes();
        let (statistics, each, area) = (self.statistics(x), c / self.groups, area.max(1));
        let scale = &pass.inputs[1].values;
        let normal = |plane: usize, x: f32| {
            let [mean, deviation] = statistics[plane / each];
            (f64::from(x) - mean) * deviation
        };
        let planes = || x.values.chunks(area).zip(pass.gradient.chunks(area)).enumerate();
        let mut sums = vec![[0.0_f64; 2]; statistics.len()];
        for (plane, (x, g)) in planes() {
            for (x, g) in x.iter().zip(g) {
                let g = f64::from(*g);
                let scaled = g * f64::from(scale[plane % c]);
                sums[plane / each][0] += scaled;
                sums[plane / each][1] += scaled * normal(plane, *x);
                for (input, value) in [(1, g * normal(plane, *x)), (2, g)] {
                    if let Some(Some(to)) = gradients.get_mut(input) {
                        to[plane % c] += value as f32;
                    }
                }
            }
        }
        let Some(to) = &mut gradients[0] else { return };
        let count = (each * area) as f64;
        for ((plane, (x, g)), to) in planes().zip(to.chunks_mut(area)) {
            let ([_, deviation], [all, dot]) = (statistics[plane / each], sums[plane / each]);
            for ((x, g), to) in x.iter().zip(g).zip(to) {
                let scaled = f64::from(*g) * f64::from(scale[plane % c]);
                *to += (deviation * (scaled - all / count - normal(plane, *x) * dot / count)) as f32;
            }
        }
    }
}
