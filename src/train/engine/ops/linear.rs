//! Products of matrices: fully connected layers.

use super::graph::{Read, inputs};
use super::product::gemm as product;
use crate::kernels::gemm::{Matrix, Start};
use crate::onnx::NodeProto;
use crate::train::engine::kernel::{Keeps, Kernel, Pass, Saved};
use crate::train::engine::tensor::Tensor;

/// `y = x · w`, `x` `[m, k]`, `w` `[k, n]` or, if `turned`, `[n, k]`; plus a bias `[n]`.
struct Linear {
    turned: bool,
}

pub(super) fn gemm(node: &NodeProto) -> Read<'_> {
    if node.int("transA", 0) != 0 || node.float("alpha", 1.0) != 1.0 || node.float("beta", 1.0) != 1.0 {
        return Err("`transA`, `alpha` or `beta` is set; the engine knows only `transB`".into());
    }
    Ok((Box::new(Linear { turned: node.int("transB", 0) != 0 }), inputs(node, 3)))
}

pub(super) fn matmul<'a>(node: &'a NodeProto, shape: &dyn Fn(&str) -> Option<Vec<usize>>) -> Read<'a> {
    let second = node.input(1).and_then(shape);
    if second.is_some_and(|shape| shape.len() > 2) {
        return Err("both factors have more than two sides; the engine multiplies by matrices".into());
    }
    Ok((Box::new(Linear { turned: false }), inputs(node, 2)))
}

impl Linear {
    /// m, n, k.
    fn sizes(&self, x: &[usize], w: &[usize]) -> Result<[usize; 3], String> {
        let (Some((k, rows)), [a, b]) = (x.split_last(), w) else {
            return Err(format!("an input of {x:?} with weights of {w:?}"));
        };
        let (n, depth) = if self.turned { (*a, *b) } else { (*b, *a) };
        if depth != *k {
            return Err(format!("an input of {x:?} with weights of {w:?}"));
        }
        Ok([rows.iter().product(), n, depth])
    }

    fn weights<'a>(&self, w: &'a [f32], n: usize, k: usize) -> Matrix<'a> {
        if self.turned { Matrix::turned(w, k) } else { Matrix::rows(w, n) }
    }
}

impl Kernel for Linear {
    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        let [_, n, _] = self.sizes(inputs[0], inputs[1])?;
        if inputs.get(2).is_some_and(|bias| bias.iter().product::<usize>() != n) {
            return Err(format!("a bias of {:?} for {n} results", inputs[2]));
        }
        let mut shape = inputs[0].to_vec();
        shape.pop();
        shape.push(n);
        Ok(shape)
    }

    fn keeps(&self) -> Keeps {
        Keeps::INPUTS
    }

    fn forward(&self, inputs: &[&Tensor], output: &mut Tensor, _: &mut Saved) {
        let Ok([m, n, k]) = self.sizes(&inputs[0].shape, &inputs[1].shape) else { return };
        let bias = inputs.get(2);
        if let Some(bias) = bias {
            output.values.chunks_exact_mut(n.max(1)).for_each(|row| row.copy_from_slice(&bias.values));
        }
        let (x, w) = (Matrix::rows(&inputs[0].values, k), self.weights(&inputs[1].values, n, k));
        product().multiply(
            [m, n, k],
            x,
            w,
            &mut output.values,
            n,
            if bias.is_some() { Start::Kept } else { Start::Zero },
        );
    }

    fn backward(&self, pass: Pass<'_>, gradients: &mut [Option<Vec<f32>>]) {
        let Ok([m, n, k]) = self.sizes(&pass.inputs[0].shape, &pass.inputs[1].shape) else { return };
        let (x, w, g) = (&pass.inputs[0].values, &pass.inputs[1].values, pass.gradient);
        if let Some(to) = &mut gradients[0] {
            let turned = if self.turned { Matrix::rows(w, k) } else { Matrix::turned(w, n) };
            product().multiply([m, k, n], Matrix::rows(g, n), turned, to, k, Start::Kept);
        }
        if let Some(to) = &mut gradients[1] {
            if self.turned {
                product().multiply([n, k, m], Matrix::turned(g, n), Matrix::rows(x, k), to, k, Start::Kept);
            } else {
                product().multiply([k, n, m], Matrix::turned(x, k), Matrix::rows(g, n), to, n, Start::Kept);
            }
        }
        if let Some(Some(to)) = gradients.get_mut(2) {
            for row in g.chunks_exact(n.max(1)) {
                to.iter_mut().zip(row).for_each(|(to, g)| *to += g);
            }
        }
    }
}
