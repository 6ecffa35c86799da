//! Graphs in 16-bit floats become graphs in 32-bit floats: no processor of ours is faster with 16, and tract is far slower.

use super::context::Context;
use crate::error::Result;
use crate::onnx::graph::Model;
use crate::onnx::pb::ValueInfoProto;
use crate::onnx::pb::{GraphProto, NodeProto, TensorProto};
use crate::onnx::tensor::{DataType, element_type};

/// The number of 16-bit floats in `onnx.proto`.
const F16: i32 = 10;

pub(super) fn widen(model: &mut Model, _context: &Context) -> Result<usize> {
    Ok(graph(model.graph_mut()))
}

fn graph(graph: &mut GraphProto) -> usize {
    let mut count = graph.initializer.iter_mut().map(tensor).sum::<usize>();
    count += graph.node.iter_mut().map(node).sum::<usize>();
    for value in graph.input.iter_mut().chain(&mut graph.output).chain(&mut graph.value_info) {
        if let Some((DataType::Other(F16), shape)) = element_type(value) {
            *value = ValueInfoProto::of(value.label(), DataType::F32, shape.as_deref());
            count += 1;
        }
    }
    count
}

fn node(node: &mut NodeProto) -> usize {
    let casts = matches!(node.op(), "Cast" | "RandomNormal" | "RandomUniform" | "EyeLike");
    let mut count = 0;
    for attribute in &mut node.attribute {
        if casts && matches!(attribute.name.as_deref(), Some("to" | "dtype")) && attribute.i == Some(F16.into()) {
            attribute.i = Some(DataType::F32.number().into());
            count += 1;
        }
        count += attribute.t.iter_mut().chain(&mut attribute.tensors).map(tensor).sum::<usize>();
        count += attribute.g.iter_mut().chain(&mut attribute.graphs).map(graph).sum::<usize>();
    }
    count
}

fn tensor(tensor: &mut TensorProto) -> usize {
    if tensor.data_type != Some(F16) {
        return 0;
    }
    let halves: Vec<u16> = match &tensor.raw_data {
        Some(raw) => raw.as_chunks::<2>().0.iter().map(|b| u16::from_le_bytes(*b)).collect(),
        None => tensor.int32_data.iter().map(|v| *v as u16).collect(),
    };
    let values: Vec<f32> = halves.into_iter().map(float).collect();
    *tensor = TensorProto::of_f32(tensor.label(), &tensor.shape(), &values);
    1
}

/// The value of a 16-bit float (IEEE 754-2008, 3.6).
fn float(bits: u16) -> f32 {
    let (sign, exponent, fraction) = (u32::from(bits >> 15), u32::from(bits >> 10 & 31), u32::from(bits & 1023));
    let magnitude = match exponent {
        0 => fraction as f32 * 2.0_f32.powi(-24),
        31 => f32::from_bits(0x7F80_0000 | fraction << 13),
        _ => f32::from_bits((exponent + 112) << 23 | fraction << 13),
    };
    if sign == 1 { -magnitude } else { magnitude }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_have_their_values() {
        for (bits, value) in
            [(0x3C00, 1.0), (0xC000, -2.0), (0x7BFF, 65504.0), (0x0001, 5.960_464_5e-8), (0x3555, 0.333_251_95)]
        {
            assert_eq!(float(bits), value);
        }
        assert!(float(0x7C00).is_infinite() && float(0x7E00).is_nan() && float(0x8000).is_sign_negative());
    }
}
