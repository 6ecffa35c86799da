//! `MaxUnpool` (SegNet) with operators that tract has. The indices of ONNX's `MaxPool` count over the whole tensor, so
//! unpooling is a scatter into a flat tensor of zeros. ONNX Operators, `MaxUnpool`.

use super::context::Context;
use crate::error::{Error, Result};
use crate::onnx::graph::Model;
use crate::onnx::pb::{NodeProto, TensorProto};
use crate::onnx::shape;

/// The number of zeros that all unpooling of a graph may need in total.
const MAX_ZEROS: i64 = 1 << 23;

pub(super) fn scatter(model: &mut Model, context: &Context) -> Result<usize> {
    if !model.graph().node.iter().any(|n| n.op() == "MaxUnpool") {
        return Ok(0);
    }
    let mut count = 0;
    let mut zeros_made: Vec<i64> = Vec::new();
    while let Some(at) = model.graph().node.iter().position(|n| n.op() == "MaxUnpool") {
        // Each replacement makes the shapes after it known.
        let shapes = shape::infer(model, &context.inputs);
        let node = model.graph().node[at].clone();
        let [Some(x), Some(indices), Some(output)] = [node.input(0), node.input(1), node.output(0)] else {
            return Err(Error::Model("a MaxUnpool without inputs".into()));
        };
        let index = model.index();
        let given = node.input(2).and_then(|name| index.weight(model.graph(), name)).and_then(|t| t.ints().ok());
        // The input of the pool that produced the indices has the size to restore.
        let pooled = index.maker(indices).and_then(|m| model.graph().node[m].input(0)).and_then(|x| shapes.get(x));
        let volume =
            |s: &[i64]| s.iter().try_fold(1_i64, |all, &d| all.checked_mul(d)).filter(|v| (1..=1 << 26).contains(v));
        let shape: Vec<i64> = match given.or_else(|| pooled.map(|s| s.iter().map(|&d| d as i64).collect())) {
            Some(shape) if shape.iter().all(|d| *d > 0) && volume(&shape).is_some() => shape,
            _ => return Err(Error::Model(format!("MaxUnpool `{output}`: the size of its output is unknown"))),
        };
        let volume: i64 = shape.iter().product();
        let hint = model.fresh("unpool");
        let name = |part: &str| format!("{hint}_{part}");
        let graph = model.graph_mut();
        let [flat, full] = [name("flat"), name("shape")];
        // All nodes of one size share their zeros.
        let zeros = format!("unpool/zeros_{volume}");
        graph.initializer.push(TensorProto::of_i64(&flat, &[1], &[-1]));
        if !zeros_made.contains(&volume) {
            zeros_made.push(volume);
            if zeros_made.iter().sum::<i64>() > MAX_ZEROS {
                return Err(Error::Model(format!("MaxUnpool `{output}`: {shape:?} is too large")));
            }
            graph.initializer.push(TensorProto::of_f32(&zeros, &[volume as usize], &vec![0.0; volume as usize]));
        }
        graph.initializer.push(TensorProto::of_i64(&full, &[shape.len()], &shape));
        let [values, places, scattered] = [name("values"), name("places"), name("scattered")];
        let nodes = [
            NodeProto::of("Reshape", &values, &[x, &flat], &[&values]),
            NodeProto::of("Reshape", &places, &[indices, &flat], &[&places]),
            NodeProto::of("ScatterElements", &scattered, &[&zeros, &places, &values], &[&scattered])
                .with_int("axis", 0),
            NodeProto::of("Reshape", &name("back"), &[&scattered, &full], &[output]),
        ];
        graph.node.splice(at..=at, nodes);
        count += 1;
    }
    Ok(count)
}
