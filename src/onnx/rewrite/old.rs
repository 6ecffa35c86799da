//! Operators of old operator sets that tract does not have.

use super::context::Context;
use crate::error::{Error, Result};
use crate::onnx::graph::Model;
use crate::onnx::pb::{AttributeProto, NodeProto, TensorProto};

/// The way in which `Resize` rounded before it could be told how.
fn floor() -> AttributeProto {
    AttributeProto {
        name: Some("nearest_mode".into()),
        r#type: Some(3),
        s: Some("floor".into()),
        ..AttributeProto::default()
    }
}

/// `Resize` of set 10 rounds down; tract takes it for that of 11.
fn resize_10(model: &mut Model) -> usize {
    let plain = |node: &&mut NodeProto| node.op() == "Resize" && node.attribute("nearest_mode").is_none();
    model.graph_mut().node.iter_mut().filter(plain).map(|node| node.attribute.push(floor())).count()
}

/// `Upsample` (7 to 9) becomes `Resize` (10), which rounds down in the same way. `Slice` and `TopK`, which take inputs
/// instead of attributes from 10 on, are brought along.
pub(super) fn upsample(model: &mut Model, _context: &Context) -> Result<usize> {
    let opset = model.opset();
    if opset == 10 {
        return Ok(resize_10(model));
    }
    if !(7..=9).contains(&opset) || !model.graph().node.iter().any(|node| node.op() == "Upsample") {
        return Ok(0);
    }
    let mut made = Vec::new();
    let mut count = 0;
    for (at, node) in model.graph_mut().node.iter_mut().enumerate() {
        let mut give = |node: &mut NodeProto, part: &str, tensor: TensorProto| {
            let name = format!("old/{at}/{part}");
            node.input.push(name.clone());
            made.push(TensorProto { name: Some(name), ..tensor });
        };
        let ints = |node: &NodeProto, name: &str| node.ints(name).map(<[i64]>::to_vec);
        let list = |values: &[i64]| TensorProto::of_i64("", &[values.len()], values);
        match node.op() {
            "Upsample" => {
                if node.input.len() < 2 {
                    let scales = node.attribute("scales").map(|a| a.floats.clone()).unwrap_or_default();
                    if scales.is_empty() {
                        return Err(Error::Model("an Upsample without scales".into()));
                    }
                    give(node, "scales", TensorProto::of_f32("", &[scales.len()], &scales));
                }
                node.op_type = Some("Resize".into());
                node.attribute.retain(|a| a.name.as_deref() != Some("scales"));
                node.attribute.push(floor());
                count += 1;
            }
            "Slice" if node.input.len() == 1 => {
                let (Some(starts), Some(ends)) = (ints(node, "starts"), ints(node, "ends")) else {
                    return Err(Error::Model("a Slice without bounds".into()));
                };
                let axes = ints(node, "axes").unwrap_or_else(|| (0..starts.len() as i64).collect());
                give(node, "starts", list(&starts));
                give(node, "ends", list(&ends));
                give(node, "axes", list(&axes));
                node.attribute.clear();
            }
            "TopK" if node.input.len() == 1 => {
                let k = node.int("k", 1);
                give(node, "k", list(&[k]));
                node.attribute.retain(|a| a.name.as_deref() != Some("k"));
            }
            _ => {}
        }
    }
    model.graph_mut().initializer.extend(made);
    for set in &mut model.proto.opset_import {
        if set.domain.as_deref().is_none_or(|domain| domain.is_empty() || domain == "ai.onnx") {
            set.version = Some(10);
        }
    }
    Ok(count)
}
