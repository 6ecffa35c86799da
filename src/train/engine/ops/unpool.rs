//! Max-unpooling: values go to the places that a pool noted (Zeiler and Fergus 2014, §2.1).

use super::graph::{Read, Values, inputs};
use super::window::Window;
use crate::onnx::NodeProto;
use crate::train::engine::kernel::{Keeps, Kernel, Pass, Saved};
use crate::train::engine::tensor::Tensor;

/// The places are those in the whole result (ONNX) or in each plane of it (PyTorch).
struct Unpool {
    window: Window,
    size: Option<Vec<usize>>,
}

pub(super) fn read<'a>(node: &'a NodeProto, values: &Values<'_>) -> Read<'a> {
    let size = values.ints(node.input(2)).map(|size| size.iter().map(|side| *side as usize).collect());
    Ok((Box::new(Unpool { window: Window::read(node, None)?, size }), inputs(node, 2)))
}

impl Kernel for Unpool {
    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        let [n, c, high, wide] = inputs[0] else { return Err(format!("an input of {:?}", inputs[0])) };
        if let Some(size) = &self.size {
            return Ok(size.clone());
        }
        let [rows, width] = self.window.spread([*high, *wide], [0, 0]).ok_or("nothing is left")?;
        Ok(vec![*n, *c, rows, width])
    }

    fn keeps(&self) -> Keeps {
        Keeps::INPUTS
    }

    fn forward(&self, inputs: &[&Tensor], output: &mut Tensor, _: &mut Saved) {
        output.values.fill(0.0);
        for (value, place) in inputs[0].values.iter().zip(&inputs[1].values) {
            if let Some(to) = output.values.get_mut(*place as usize) {
                *to = *value;
            }
        }
    }

    fn backward(&self, pass: Pass<'_>, gradients: &mut [Option<Vec<f32>>]) {
        let Some(to) = &mut gradients[0] else { return };
        for (to, place) in to.iter_mut().zip(&pass.inputs[1].values) {
            *to += pass.gradient.get(*place as usize).copied().unwrap_or(0.0);
        }
    }
}
