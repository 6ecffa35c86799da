//! Atrous windows larger than their map. A tap of a dilated window that lies outside the map at every position reads
//! only padding; without it, the window is smaller and the answer is the same. DeepLab's pyramid has such
//! windows (Chen et al. 2017, Rethinking Atrous Convolution, §3.3: "the 3×3 filter degenerates to 1×1").

use super::context::Context;
use crate::error::Result;
use crate::onnx::DataType;
use crate::onnx::graph::Model;
use crate::onnx::pb::{AttributeProto, NodeProto, TensorProto};
use crate::onnx::shape;

pub(super) fn centre_taps(model: &mut Model, context: &Context) -> Result<usize> {
    let dilated =
        |node: &NodeProto| node.op() == "Conv" && node.ints("dilations").is_some_and(|d| d.iter().any(|v| *v > 1));
    if !model.graph().node.iter().any(dilated) {
        return Ok(0);
    }
    let shapes = shape::infer(model, &context.inputs);
    let index = model.index();
    let mut count = 0;
    for at in 0..model.graph().node.len() {
        let node = &model.graph().node[at];
        let (Some(x), Some(kernel)) = (node.input(0).and_then(|x| shapes.get(x)), node.input(1)) else { continue };
        let Some(kernel) = index.weight(model.graph(), kernel).filter(|_| dilated(node)) else { continue };
        if kernel.kind() != DataType::F32 {
            continue;
        }
        let sides = kernel.shape();
        if x.len() != 4 || sides.len() != 4 || !node.text("auto_pad").is_empty() {
            continue;
        }
        let axes = [axis(node, 0, x[2], sides[2]), axis(node, 1, x[3], sides[3])];
        if axes.iter().zip(&sides[2..]).all(|(axis, side)| axis.taps == *side) {
            continue;
        }
        let kept = cut(kernel, &axes)?;
        let name = model.fresh("inner_taps");
        let graph = model.graph_mut();
        let shape = [sides[0], sides[1], axes[0].taps, axes[1].taps];
        graph.initializer.push(TensorProto::of_f32(&name, &shape, &kept));
        let node = &mut graph.node[at];
        node.input[1] = name;
        set(node, "kernel_shape", &axes.map(|a| a.taps as i64));
        set(node, "dilations", &axes.map(|a| if a.taps == 1 { 1 } else { a.dilation }));
        set(node, "pads", &[axes[0].before, axes[1].before, axes[0].after, axes[1].after]);
        count += 1;
    }
    if count > 0 {
        model.sweep();
    }
    Ok(count)
}

/// Which taps of an axis ever read the map, and the padding that remains without the others.
#[derive(Clone, Copy, Debug)]
struct Axis {
    first: usize,
    taps: usize,
    dilation: i64,
    before: i64,
    after: i64,
}

fn axis(node: &NodeProto, at: usize, map: usize, taps: usize) -> Axis {
    let number =
        |name: &str, at: usize, default: i64| node.ints(name).and_then(|v| v.get(at)).copied().unwrap_or(default);
    let (dilation, before, after) = (number("dilations", at, 1), number("pads", at, 0), number("pads", at + 2, 0));
    let map = map as i64;
    // A window starts at positions from -before to map + after - reach.
    let reach = (taps as i64 - 1) * dilation + 1;
    let reads = |tap: usize| {
        let shift = tap as i64 * dilation;
        let (first, last) = (shift - before, shift + map + after - reach);
        last >= 0 && first < map
    };
    let whole = Axis { first: 0, taps, dilation, before, after };
    let (Some(first), Some(last)) = ((0..taps).find(|&t| reads(t)), (0..taps).rev().find(|&t| reads(t))) else {
        return whole;
    };
    let lost_before = first as i64 * dilation;
    let lost_after = (taps - 1 - last) as i64 * dilation;
    let (before, after) = (before - lost_before, after - lost_after);
    // Padding below zero would need a crop instead.
    if before < 0 || after < 0 { whole } else { Axis { first, taps: last - first + 1, dilation, before, after } }
}

/// The kept taps of a kernel `[out, in, h, w]`.
fn cut(kernel: &TensorProto, axes: &[Axis; 2]) -> Result<Vec<f32>> {
    let (sides, values) = (kernel.shape(), kernel.floats()?);
    let mut kept = Vec::new();
    for plane in values.chunks_exact((sides[2] * sides[3]).max(1)) {
        for y in axes[0].first..axes[0].first + axes[0].taps {
            let row = y * sides[3] + axes[1].first;
            kept.extend_from_slice(&plane[row..row + axes[1].taps]);
        }
    }
    Ok(kept)
}

fn set(node: &mut NodeProto, name: &str, values: &[i64]) {
    node.attribute.retain(|a| a.name.as_deref() != Some(name));
    let ints = values.to_vec();
    node.attribute.push(AttributeProto { name: Some(name.into()), r#type: Some(7), ints, ..Default::default() });
}
