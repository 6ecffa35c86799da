//! Operators of two tensors, one of which may be repeated along sides of 1 (ONNX, Broadcasting).

use super::graph::Read;
use crate::onnx::NodeProto;
use crate::train::engine::kernel::{Keeps, Kernel, Pass, Saved};
use crate::train::engine::tensor::Tensor;

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Add,
    Sub,
    Mul,
    Div,
}

struct Join(Kind);

pub(super) fn read(node: &NodeProto) -> Read<'_> {
    let kind = match node.op() {
        "Add" => Kind::Add,
        "Sub" => Kind::Sub,
        "Mul" => Kind::Mul,
        _ => Kind::Div,
    };
    match (node.input(0), node.input(1)) {
        (Some(a), Some(b)) => Ok((Box::new(Join(kind)), vec![a, b])),
        _ => Err("it needs two inputs".into()),
    }
}

/// The shape of both, and for each side of it the strides of `a` and `b`.
type Sides = (Vec<usize>, Vec<[usize; 2]>);

fn sides(a: &[usize], b: &[usize]) -> Result<Sides, String> {
    let rank = a.len().max(b.len());
    let side = |shape: &[usize], at: usize| (at + shape.len()).checked_sub(rank).map_or(1, |at| shape[at]);
    let mut shape = vec![0; rank];
    let mut strides = vec![[0, 0]; rank];
    let mut steps = [1, 1];
    for at in (0..rank).rev() {
        let (x, y) = (side(a, at), side(b, at));
        shape[at] = match (x, y) {
            _ if x == y => x,
            (1, _) => y,
            (_, 1) => x,
            _ => return Err(format!("{a:?} and {b:?} do not fit")),
        };
        strides[at] = [if x == 1 { 0 } else { steps[0] }, if y == 1 { 0 } else { steps[1] }];
        steps = [steps[0] * x, steps[1] * y];
    }
    Ok((shape, strides))
}

/// Calls with the place in the result, in `a` and in `b`, for each value.
fn walk((shape, strides): &Sides, mut call: impl FnMut(usize, usize, usize)) {
    let Some((inner, outer)) = shape.split_last() else { return call(0, 0, 0) };
    let [sa, sb] = strides[strides.len() - 1];
    let rows: usize = outer.iter().product();
    let mut at = vec![0_usize; outer.len()];
    for row in 0..rows {
        let start = at.iter().zip(strides).fold([0, 0], |sum, (i, s)| [sum[0] + i * s[0], sum[1] + i * s[1]]);
        for i in 0..*inner {
            call(row * inner + i, start[0] + i * sa, start[1] + i * sb);
        }
        for axis in (0..outer.len()).rev() {
            at[axis] += 1;
            if at[axis] < outer[axis] {
                break;
            }
            at[axis] = 0;
        }
    }
}

impl Kernel for Join {
    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        Ok(sides(inputs[0], inputs[1])?.0)
    }

    fn keeps(&self) -> Keeps {
        if matches!(self.0, Kind::Add | Kind::Sub) { Keeps::NOTHING } else { Keeps::INPUTS }
    }

    fn forward(&self, inputs: &[&Tensor], output: &mut Tensor, _: &mut Saved) {
        let ([a, b], to) = ([&inputs[0].values, &inputs[1].values], &mut output.values);
        let apply = |x: f32, y: f32| match self.0 {
            Kind::Add => x + y,
            Kind::Sub => x - y,
            Kind::Mul => x * y,
            Kind::Div => x / y,
        };
        if inputs[0].shape == inputs[1].shape {
            to.iter_mut().zip(a).zip(b).for_each(|((to, x), y)| *to = apply(*x, *y));
        } else if let Ok(sides) = sides(&inputs[0].shape, &inputs[1].shape) {
            walk(&sides, |at, i, j| to[at] = apply(a[i], b[j]));
        }
    }

    fn backward(&self, pass: Pass<'_>, gradients: &mut [Option<Vec<f32>>]) {
        let Ok(sides) = sides(&pass.inputs[0].shape, &pass.inputs[1].shape) else { return };
        let ([a, b], g) = ([&pass.inputs[0].values, &pass.inputs[1].values], pass.gradient);
        let (left, right) = gradients.split_at_mut(1);
        if let Some(to) = &mut left[0] {
            match self.0 {
                Kind::Add | Kind::Sub => walk(&sides, |at, i, _| to[i] += g[at]),
                Kind::Mul => walk(&sides, |at, i, j| to[i] += g[at] * b[j]),
                Kind::Div => walk(&sides, |at, i, j| to[i] += g[at] / b[j]),
            }
        }
        if let Some(to) = &mut right[0] {
            match self.0 {
                Kind::Add => walk(&sides, |at, _, j| to[j] += g[at]),
                Kind::Sub => walk(&sides, |at, _, j| to[j] -= g[at]),
                Kind::Mul => walk(&sides, |at, i, j| to[j] += g[at] * a[i]),
                Kind::Div => walk(&sides, |at, i, j| to[j] -= g[at] * a[i] / (b[j] * b[j])),
            }
        }
    }
}
