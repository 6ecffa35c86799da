//! Operators that change each value by itself.

use super::graph::{Read, Values};
use crate::onnx::NodeProto;
use crate::train::engine::kernel::{Keeps, Kernel, Pass, Saved};
use crate::train::engine::tensor::Tensor;
use rayon::prelude::*;

/// Values that a thread treats at a time.
const CHUNK: usize = 1 << 14;

/// A function of one number.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Function {
    Identity,
    /// The bounds.
    Clip(f32, f32),
    /// The slope below 0.
    Leaky(f32),
    Elu(f32),
    Sigmoid,
    Silu,
    Tanh,
    HardSwish,
    /// Slope and height at 0.
    HardSigmoid(f32, f32),
    Gelu,
    /// The same by a tanh (Hendrycks and Gimpel 2016, §2).
    GeluTanh,
    Softplus,
    Exp,
}

struct Activation(Function);

pub(super) fn read<'a>(node: &'a NodeProto, values: &Values<'_>) -> Read<'a> {
    let bound = |at: usize, name: &str, open: f32| -> Result<f32, String> {
        match node.input(at) {
            Some(input) => {
                let values = values.floats(Some(input)).ok_or("its bounds are computed; the engine needs constants")?;
                Ok(values.first().copied().unwrap_or(open))
            }
            None => Ok(node.float(name, open)),
        }
    };
    let function = match node.op() {
        "Relu" => Function::Clip(0.0, f32::INFINITY),
        "Clip" => Function::Clip(bound(1, "min", f32::NEG_INFINITY)?, bound(2, "max", f32::INFINITY)?),
        "LeakyRelu" => Function::Leaky(node.float("alpha", 0.01)),
        "Elu" => Function::Elu(node.float("alpha", 1.0)),
        "Sigmoid" => Function::Sigmoid,
        "Swish" if node.float("alpha", 1.0) == 1.0 => Function::Silu,
        "Tanh" => Function::Tanh,
        "HardSwish" => Function::HardSwish,
        "HardSigmoid" => Function::HardSigmoid(node.float("alpha", 0.2), node.float("beta", 0.5)),
        "Gelu" if node.text("approximate") == "tanh" => Function::GeluTanh,
        "Gelu" => Function::Gelu,
        "Softplus" => Function::Softplus,
        "Exp" => Function::Exp,
        // Dropout does nothing in a net whose frozen part it could not reach.
        "Identity" | "Dropout" => Function::Identity,
        other => return Err(format!("the engine does not know this form of `{other}`")),
    };
    Ok((Box::new(Activation(function)), node.input(0).into_iter().collect()))
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

/// sqrt(2 / pi).
const GELU: f32 = 0.797_884_6;

impl Function {
    fn of(self, x: f32) -> f32 {
        match self {
            Self::Identity => x,
            Self::Clip(lo, hi) => x.max(lo).min(hi),
            Self::Leaky(slope) => {
                if x > 0.0 {
                    x
                } else {
                    x * slope
                }
            }
            Self::Elu(alpha) => {
                if x > 0.0 {
                    x
                } else {
                    alpha * x.exp_m1()
                }
            }
            Self::Sigmoid => sigmoid(x),
            Self::Silu => x * sigmoid(x),
            Self::Tanh => x.tanh(),
            Self::HardSwish => x * (x + 3.0).clamp(0.0, 6.0) / 6.0,
            Self::HardSigmoid(slope, height) => (slope * x + height).clamp(0.0, 1.0),
            Self::Gelu => 0.5 * x * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2)),
            Self::GeluTanh => 0.5 * x * (1.0 + (GELU * (x + 0.044_715 * x * x * x)).tanh()),
            // As PyTorch: the line itself where the curve is equal to it.
            Self::Softplus => {
                if x > 20.0 {
                    x
                } else {
                    x.exp().ln_1p()
                }
            }
            Self::Exp => x.exp(),
        }
    }

    /// The slope at `x`, where the result is `y`.
    fn slope(self, x: f32, y: f32) -> f32 {
        match self {
            Self::Identity => 1.0,
            // The slope of the bounds themselves is 0, as PyTorch's of ReLU and ReLU6.
            Self::Clip(lo, hi) => {
                if y > lo && y < hi {
                    1.0
                } else {
                    0.0
                }
            }
            Self::Leaky(slope) => {
                if x > 0.0 {
                    1.0
                } else {
                    slope
                }
            }
            Self::Elu(alpha) => {
                if x > 0.0 {
                    1.0
                } else {
                    alpha * x.exp()
                }
            }
            Self::Sigmoid => y * (1.0 - y),
            Self::Silu => {
                let s = sigmoid(x);
                s * (1.0 + x * (1.0 - s))
            }
            Self::Tanh => 1.0 - y * y,
            Self::HardSwish => {
                if x <= -3.0 {
                    0.0
                } else if x >= 3.0 {
                    1.0
                } else {
                    x / 3.0 + 0.5
                }
            }
            Self::HardSigmoid(slope, _) => {
                if y > 0.0 && y < 1.0 {
                    slope
                } else {
                    0.0
                }
            }
            Self::Gelu => {
                // 1 / sqrt(2 pi).
                let density = 0.398_942_3 * (-0.5 * x * x).exp();
                0.5 * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2)) + x * density
            }
            Self::GeluTanh => {
                let t = (GELU * (x + 0.044_715 * x * x * x)).tanh();
                0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * GELU * (1.0 + 3.0 * 0.044_715 * x * x)
            }
            Self::Softplus => {
                if x > 20.0 {
                    1.0
                } else {
                    sigmoid(x)
                }
            }
            Self::Exp => y,
        }
    }

    /// Whether the slope is known from the result alone.
    const fn by_result(self) -> bool {
        matches!(self, Self::Identity | Self::Clip(..) | Self::Sigmoid | Self::Tanh | Self::HardSigmoid(..) | Self::Exp)
    }
}

/// The error function to 1.2e-7 (Numerical Recipes, Press et al. 2007, §6.2.2, `erfc` by Chebyshev).
fn erf(x: f32) -> f32 {
    let z = f64::from(x.abs());
    let t = 2.0 / (2.0 + z);
    let terms = [
        -1.265_512_23,
        1.000_023_68,
        0.374_091_96,
        0.096_784_18,
        -0.186_288_06,
        0.278_868_07,
        -1.135_203_98,
        1.488_515_87,
        -0.822_152_23,
        0.170_872_77,
    ];
    let power = terms.iter().rev().fold(0.0, |sum: f64, term| sum * t + term);
    let rest = t * (power - z * z).exp();
    let found = 1.0 - rest;
    (if x < 0.0 { -found } else { found }) as f32
}

impl Kernel for Activation {
    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        Ok(inputs[0].to_vec())
    }

    fn keeps(&self) -> Keeps {
        if self.0 == Function::Identity {
            Keeps::NOTHING
        } else if self.0.by_result() {
            Keeps::OUTPUT
        } else {
            Keeps::INPUTS
        }
    }

    fn bounds(&self) -> Option<[f32; 2]> {
        if let Function::Clip(lo, hi) = self.0 { Some([lo, hi]) } else { None }
    }

    fn forward(&self, inputs: &[&Tensor], output: &mut Tensor, _: &mut Saved) {
        let function = self.0;
        output.values.par_chunks_mut(CHUNK).zip(inputs[0].values.par_chunks(CHUNK)).for_each(
            |(to, from)| match function {
                Function::Identity => to.copy_from_slice(from),
                Function::Clip(lo, hi) => to.iter_mut().zip(from).for_each(|(to, x)| *to = x.max(lo).min(hi)),
                _ => to.iter_mut().zip(from).for_each(|(to, x)| *to = function.of(*x)),
            },
        );
    }

    fn backward(&self, pass: Pass<'_>, gradients: &mut [Option<Vec<f32>>]) {
        let Some(to) = &mut gradients[0] else { return };
        let function = self.0;
        // One of the two is enough for every function; the other may be gone.
        let known = if function.by_result() { &pass.output.values } else { &pass.inputs[0].values };
        if function == Function::Identity {
            to.iter_mut().zip(pass.gradient.iter()).for_each(|(to, g)| *to += g);
            return;
        }
        let all = to.par_chunks_mut(CHUNK).zip(pass.gradient.par_chunks(CHUNK)).zip(known.par_chunks(CHUNK));
        all.for_each(|((to, g), known)| {
            let all = to.iter_mut().zip(g).zip(known);
            match function {
                Function::Clip(lo, hi) => {
                    all.for_each(|((to, g), y)| *to += if *y > lo && *y < hi { *g } else { 0.0 });
                }
                _ if function.by_result() => all.for_each(|((to, g), y)| *to += g * function.slope(0.0, *y)),
                _ => all.for_each(|((to, g), x)| *to += g * function.slope(*x, 0.0)),
            }
        });
    }
}
