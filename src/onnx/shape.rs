//! Infers the shapes of a graph's values from the shape of its input, for the operators of feed-forward networks.
//! Shapes that cannot be inferred are left out, and callers do without them.

use super::graph::Model;
use super::pb::{NodeProto, TensorProto};
use super::tensor::element_type;
use std::collections::HashMap;

/// Shapes by the name of the value.
pub type Shapes = HashMap<String, Vec<usize>>;

/// Infers shapes. `given` has those of the graph's inputs; others are taken from the file if it fixes them.
#[must_use]
pub fn infer(model: &Model, given: &Shapes) -> Shapes {
    let graph = model.graph();
    let mut shapes: Shapes = graph.initializer.iter().map(|t| (t.label().to_owned(), t.shape())).collect();
    let given = |name: &str| given.get(name).cloned();
    for input in &graph.input {
        let declared = element_type(input).and_then(|(_, shape)| shape).and_then(|s| s.into_iter().collect());
        if let Some(shape) = given(input.label()).or(declared).filter(|shape| is_sane(shape)) {
            shapes.insert(input.label().to_owned(), shape);
        }
    }
    let index = model.index();
    let Ok(order) = index.order(graph) else { return shapes };
    for at in order {
        let node = &graph.node[at];
        let constant = |name: &str| constant(model, &index, name);
        if let Some(shape) = shape_of(node, &shapes, constant).filter(|shape| is_sane(shape))
            && let Some(name) = node.output(0)
        {
            // MaxPool's second output has the shape of its first.
            if let Some(second) = node.output(1).filter(|_| node.op() == "MaxPool") {
                shapes.insert(second.to_owned(), shape.clone());
            }
            shapes.insert(name.to_owned(), shape);
        }
    }
    shapes
}

/// Whether arithmetic on a shape is safe from overflow: files may claim anything.
fn is_sane(shape: &[usize]) -> bool {
    shape.iter().all(|side| *side <= 1 << 24)
        && shape.iter().try_fold(1_usize, |all, side| all.checked_mul(*side)).is_some()
}

/// A value that is known without running anything.
fn constant<'a>(model: &'a Model, index: &super::Index, name: &str) -> Option<&'a TensorProto> {
    let graph = model.graph();
    index.weight(graph, name).or_else(|| {
        let node = &graph.node[index.maker(name)?];
        node.attribute("value").filter(|_| node.op() == "Constant")?.t.as_ref()
    })
}

fn shape_of<'a>(
    node: &NodeProto,
    shapes: &Shapes,
    constant: impl Fn(&str) -> Option<&'a TensorProto>,
) -> Option<Vec<usize>> {
    let input = |at: usize| shapes.get(node.input(at)?);
    let ints = |at: usize| constant(node.input(at)?)?.ints().ok();
    match node.op() {
        "Conv" => {
            let (x, kernel) = (input(0)?, input(1)?);
            let sides = window(node, x, kernel.get(2..)?)?;
            Some([*x.first()?, *kernel.first()?].into_iter().chain(sides).collect())
        }
        "MaxPool" | "AveragePool" => {
            let kernel: Vec<usize> = node.ints("kernel_shape")?.iter().map(|&k| k as usize).collect();
            let x = input(0)?;
            let sides = window(node, x, &kernel)?;
            Some(x.get(..2)?.iter().copied().chain(sides).collect())
        }
        "GlobalAveragePool" | "GlobalMaxPool" => {
            let x = input(0)?;
            Some(x.iter().enumerate().map(|(at, &side)| if at < 2 { side } else { 1 }).collect())
        }
        "Relu"
        | "LeakyRelu"
        | "Sigmoid"
        | "Tanh"
        | "Clip"
        | "HardSwish"
        | "HardSigmoid"
        | "Elu"
        | "PRelu"
        | "Softmax"
        | "BatchNormalization"
        | "InstanceNormalization"
        | "Identity"
        | "Dropout"
        | "Cast"
        | "QuantizeLinear"
        | "DequantizeLinear"
        | "Exp"
        | "Sqrt"
        | "Neg"
        | "Softplus"
        | "Erf"
        | "LRN" => input(0).cloned(),
        "Add" | "Sub" | "Mul" | "Div" | "Pow" => broadcast(input(0)?, input(1)?),
        "Concat" => {
            let mut shape = input(0)?.clone();
            let axis = axis(node.int("axis", 0), shape.len())?;
            let others: Option<Vec<usize>> = (1..node.input.len()).map(|at| input(at)?.get(axis).copied()).collect();
            shape[axis] += others?.iter().sum::<usize>();
            Some(shape)
        }
        "Transpose" => {
            let x = input(0)?;
            let reversed: Vec<i64> = (0..x.len() as i64).rev().collect();
            node.ints("perm").unwrap_or(&reversed).iter().map(|&p| x.get(p as usize).copied()).collect()
        }
        "Reshape" => {
            let (x, to) = (input(0)?, ints(1)?);
            let mut shape: Vec<usize> = to
                .iter()
                .enumerate()
                .map(|(at, &d)| if d == 0 { x.get(at).copied().unwrap_or(0) } else { d.max(0) as usize })
                .collect();
            if let Some(open) = to.iter().position(|&d| d == -1) {
                shape[open] = 1;
                let known = shape.iter().try_fold(1_usize, |all, side| all.checked_mul(*side))?;
                shape[open] = x.iter().product::<usize>().checked_div(known)?;
            }
            Some(shape)
        }
        "Flatten" => {
            let x = input(0)?;
            let axis = axis(node.int("axis", 1), x.len() + 1)?;
            Some(vec![x[..axis].iter().product(), x[axis..].iter().product()])
        }
        "Gemm" => {
            let (a, b) = (input(0)?, input(1)?);
            let rows = a.get(node.int("transA", 0) as usize)?;
            Some(vec![*rows, *b.get(1 - (node.int("transB", 0) as usize).min(1))?])
        }
        "MatMul" => {
            let (a, b) = (input(0)?, input(1)?);
            let mut shape = a.clone();
            *shape.last_mut()? = *b.last()?;
            Some(shape)
        }
        "Resize" | "Upsample" => {
            let x = input(0)?;
            if let Some(sizes) = ints(3) {
                return Some(sizes.iter().map(|&s| s.max(0) as usize).collect());
            }
            let at = if node.op() == "Upsample" { 1 } else { 2 };
            let scales = constant(node.input(at)?)?.floats().ok()?;
            Some(x.iter().zip(scales).map(|(&side, scale)| (side as f32 * scale) as usize).collect())
        }
        _ => None,
    }
}

fn axis(axis: i64, rank: usize) -> Option<usize> {
    usize::try_from(if axis < 0 { axis + rank as i64 } else { axis }).ok().filter(|a| *a < rank)
}

fn broadcast(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let rank = a.len().max(b.len());
    let side = |s: &[usize], at: usize| (at + s.len()).checked_sub(rank).map_or(1, |at| s[at]);
    let one = |at: usize| match (side(a, at), side(b, at)) {
        (x, 1) => Some(x),
        (1, y) => Some(y),
        (x, y) => (x == y).then_some(x),
    };
    (0..rank).map(one).collect()
}

/// The sides of the output of a window over an input `[N, C, …]` (ONNX Operators, `Conv` and `MaxPool`).
fn window(node: &NodeProto, x: &[usize], kernel: &[usize]) -> Option<Vec<usize>> {
    let rank = x.len().checked_sub(2)?;
    let number =
        |name: &str, at: usize, default: i64| node.ints(name).and_then(|v| v.get(at)).copied().unwrap_or(default);
    let auto = node.text("auto_pad");
    let side = |at: usize| {
        let (size, stride) = (x[at + 2] as i64, number("strides", at, 1).max(1));
        if auto.starts_with("SAME") {
            return Some(((size + stride - 1) / stride) as usize);
        }
        let reach = (*kernel.get(at)? as i64 - 1) * number("dilations", at, 1) + 1;
        let padded = size + number("pads", at, 0) + number("pads", at + rank, 0) - reach;
        let up = if node.int("ceil_mode", 0) == 1 { stride - 1 } else { 0 };
        usize::try_from((padded + up).div_euclid(stride) + 1).ok()
    };
    (0..rank).map(side).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_follow_the_formula_of_onnx() {
        let conv = NodeProto::of("Conv", "", &["x", "w"], &["y"])
            .with_ints("strides", &[2, 2])
            .with_ints("pads", &[1, 1, 1, 1]);
        assert_eq!(window(&conv, &[1, 3, 225, 224], &[3, 3]), Some(vec![113, 112]));
        let same = NodeProto::of("Conv", "", &["x", "w"], &["y"]).with_ints("strides", &[2, 2]);
        assert_eq!(window(&same, &[1, 3, 5, 5], &[3, 3]), Some(vec![2, 2]));
        let pool = NodeProto::of("MaxPool", "", &["x"], &["y"]).with_ints("strides", &[2, 2]).with_int("ceil_mode", 1);
        assert_eq!(window(&pool, &[1, 3, 6, 5], &[3, 3]), Some(vec![3, 2]));
    }

    #[test]
    fn sides_of_one_are_stretched() {
        assert_eq!(broadcast(&[1, 8, 4, 4], &[8, 1, 1]), Some(vec![1, 8, 4, 4]));
        assert_eq!(broadcast(&[2], &[3]), None);
    }
}
