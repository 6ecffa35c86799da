//! Operators value by value, pools, resizing, softmax.

use super::fuse::{act_of, activation};
use super::known::sizes;
use super::levels;
use super::lower::{Lower, Reason};
use super::windows::{sides_of, window_of};
use crate::kernels::bytes::levels::Work;
use crate::kernels::bytes::table::Floats;
use crate::kernels::draft::Draft;
use crate::kernels::map::{Binary, Unary};
use crate::kernels::pool::Pooling;
use crate::kernels::resize::Tap;
use crate::kernels::window::Window;
use crate::onnx::NodeProto;

/// A function of one value.
pub fn unary(lower: &mut Lower, at: usize) -> Result<(), Reason> {
    let node = lower.node(at);
    let input = node.input(0).ok_or("it has no input")?;
    // An activation that several nodes make: the first of them does it all.
    let whole = activation(lower, input).filter(|(.., nodes)| nodes.len() > 1 && nodes.contains(&at));
    let (op, name, nodes) = match (whole, act_of(lower, node)) {
        (Some((act, name, nodes)), _) => (Unary::Act(act), name, nodes),
        (None, Some(act)) => (Unary::Act(act), node.output[0].clone(), vec![at]),
        (None, None) => {
            let op = match node.op() {
                "Abs" => Unary::Abs,
                "Neg" => Unary::Neg,
                "Sqrt" => Unary::Sqrt,
                "Tanh" => Unary::Tanh,
                other => return Err(format!("{other} is not compiled")),
            };
            (op, node.output[0].clone(), vec![at])
        }
    };
    apply(lower, at, op, input, name, &nodes)
}

/// A function of one value, which is made by these nodes.
fn apply(lower: &mut Lower, at: usize, op: Unary, input: &str, name: String, nodes: &[usize]) -> Result<(), Reason> {
    let to = match (op, levels::level_of(lower, input)) {
        (Unary::Act(act), Some((view, quant))) => {
            let to = lower.place_like(&name, &view, &view.sides)?;
            let table = Box::new(Floats::new(std::array::from_fn(|level| act.of(quant.value(level as u8)))));
            lower.builder.step(Draft::Level { work: Work::Lookup(table), from: view, to: to.clone() });
            to
        }
        _ => {
            let from = lower.view(input)?;
            let to = lower.place_like(&name, &from, &from.sides)?;
            lower.builder.step(Draft::Unary { op, from, to: to.clone() });
            to
        }
    };
    lower.values.insert(name, to);
    lower.taken.extend(nodes.iter().copied().filter(|node| *node != at));
    Ok(())
}

/// A function of two values.
pub fn binary(lower: &mut Lower, at: usize) -> Result<(), Reason> {
    let node = lower.node(at);
    let op = match node.op() {
        "Add" => Binary::Add,
        "Sub" => Binary::Sub,
        "Mul" => Binary::Mul,
        "Div" => Binary::Div,
        "PRelu" => Binary::Prelu,
        "Max" => Binary::Max,
        _ => Binary::Min,
    };
    if node.input.len() != 2 {
        return Err(format!("{} values at once", node.input.len()));
    }
    // x * f(x), written as several nodes, with nothing in front to take it in.
    for input in &node.input {
        if let Some((act, name, nodes)) =
            activation(lower, input).filter(|(.., nodes)| nodes.len() > 1 && nodes.contains(&at))
        {
            return apply(lower, at, Unary::Act(act), input, name, &nodes);
        }
    }
    let (a, b) = (lower.input(node, 0)?, lower.input(node, 1)?);
    let sides = broadcast(&a.sides, &b.sides)?;
    let (a, b) = (a.broadcast(&sides).ok_or("its sides differ")?, b.broadcast(&sides).ok_or("its sides differ")?);
    let like = if a.strides.contains(&0) { &b } else { &a };
    let to = lower.place_like(&node.output[0], like, &sides)?;
    lower.builder.step(Draft::Binary { op, a, b, to: to.clone() });
    lower.set(node, 0, to)
}

fn broadcast(a: &[usize], b: &[usize]) -> Result<Vec<usize>, Reason> {
    let rank = a.len().max(b.len());
    let side = |of: &[usize], at: usize| (at + of.len()).checked_sub(rank).map_or(1, |at| of[at]);
    let one = |at: usize| match (side(a, at), side(b, at)) {
        (x, 1) => Some(x),
        (1, y) => Some(y),
        (x, y) => (x == y).then_some(x),
    };
    let sides: Option<Vec<usize>> = (0..rank).map(one).collect();
    sides.ok_or_else(|| format!("{a:?} and {b:?} do not fit each other"))
}

/// A normalisation that was not folded into a convolution.
pub fn batch_norm(lower: &mut Lower, at: usize) -> Result<(), Reason> {
    let node = lower.node(at);
    let from = lower.input(node, 0)?;
    let weight = |at: usize| {
        let known = node.input(at).and_then(|name| lower.floats(name)).map(|(_, values)| values);
        known.filter(|values| Some(&values.len()) == from.sides.get(1)).ok_or("its numbers are computed")
    };
    let (scale, shift, mean, variance) = (weight(1)?, weight(2)?, weight(3)?, weight(4)?);
    let epsilon = node.float("epsilon", 1e-5);
    let factor: Vec<f32> = scale.iter().zip(&variance).map(|(s, v)| s / (v + epsilon).sqrt()).collect();
    let rest: Vec<f32> = shift.iter().zip(&mean).zip(&factor).map(|((b, m), f)| b - m * f).collect();
    let mut sides = vec![1; from.sides.len()];
    sides[1] = factor.len();
    let mut constant =
        |values: Vec<f32>| lower.builder.constant(&sides, values).broadcast(&from.sides).ok_or("its sides differ");
    let (factor, rest) = (constant(factor)?, constant(rest)?);
    let middle = lower.place_like("", &from, &from.sides)?;
    lower.builder.step(Draft::Binary { op: Binary::Mul, a: from.clone(), b: factor, to: middle.clone() });
    let to = lower.place_like(&node.output[0], &from, &from.sides)?;
    lower.builder.step(Draft::Binary { op: Binary::Add, a: middle, b: rest, to: to.clone() });
    lower.set(node, 0, to)
}

/// A pool over windows.
pub fn pool(lower: &mut Lower, node: &NodeProto) -> Result<(), Reason> {
    if node.output.len() > 1 && node.output(1).is_some() {
        return Err("it gives places, too".into());
    }
    let &[1, channels, height, width] = lower.sides(node, 0)?.as_slice() else {
        return Err("it takes more than one map".into());
    };
    let window = window_of(node, [height, width])?;
    let [h, w] = sides_of(node, &window, [height, width])?;
    let pooling = match (node.op(), node.int("count_include_pad", 0)) {
        ("MaxPool", _) => Pooling::Max,
        (_, 0) => Pooling::Mean,
        // Pixels that only rounding up adds do not count, padding does.
        _ if node.int("ceil_mode", 0) == 1 => {
            return Err("a mean over padding that is rounded up stays with tract".into());
        }
        _ => Pooling::MeanOfWindow,
    };
    if window.before[0] >= window.kernel[0] * window.dilation[0]
        || window.before[1] >= window.kernel[1] * window.dilation[1]
    {
        return Err("windows lie wholly outside the map".into());
    }
    if levels::pool(lower, node, window, pooling, &[1, channels, h, w])?.is_some() {
        return Ok(());
    }
    let from = lower.input(node, 0)?;
    let map = lower.map(&from, [0; 2])?;
    let to = lower.place(&node.output[0], &[1, channels, h, w])?;
    let target = to.map().ok_or("its output is no map")?;
    lower.builder.step(Draft::Pool { from: map, to: target, window, pooling });
    lower.set(node, 0, to)
}

/// A pool over the whole map.
pub fn global_pool(lower: &mut Lower, node: &NodeProto) -> Result<(), Reason> {
    let &[1, channels, height, width] = lower.sides(node, 0)?.as_slice() else {
        return Err("it takes more than one map".into());
    };
    let mut keep = true;
    if node.op() == "ReduceMean" {
        let axes =
            node.ints("axes").map(<[i64]>::to_vec).or_else(|| lower.ints(node, 1)).ok_or("its axes are not said")?;
        let mut axes: Vec<i64> = axes.iter().map(|axis| if *axis < 0 { axis + 4 } else { *axis }).collect();
        axes.sort_unstable();
        if axes != [2, 3] {
            return Err(format!("a mean over the axes {axes:?}"));
        }
        keep = node.int("keepdims", 1) == 1;
    }
    let pooling = if node.op() == "GlobalMaxPool" { Pooling::Max } else { Pooling::MeanOfWindow };
    let window = Window { kernel: [height, width], stride: [1; 2], dilation: [1; 2], before: [0; 2] };
    if keep && levels::pool(lower, node, window, pooling, &[1, channels, 1, 1])?.is_some() {
        return Ok(());
    }
    let from = lower.input(node, 0)?;
    let map = lower.map(&from, [0; 2])?;
    let to = lower.place(&node.output[0], &[1, channels, 1, 1])?;
    let target = to.map().ok_or("its output is no map")?;
    lower.builder.step(Draft::Pool { from: map, to: target, window, pooling });
    let to = if keep { to } else { lower.reshape(&to, &[1, channels])? };
    lower.set(node, 0, to)
}

/// Resizing of a map, by the rules of ONNX (Operators, `Resize`).
pub fn resize(lower: &mut Lower, node: &NodeProto) -> Result<(), Reason> {
    let from = lower.input(node, 0)?;
    let &[1, channels, height, width] = from.sides.as_slice() else {
        return Err(format!("it takes {:?}, not one map", from.sides));
    };
    if node.attribute("axes").is_some()
        || node.int("antialias", 0) != 0
        || node.text("keep_aspect_ratio_policy").len() > "stretch".len()
    {
        return Err("axes, antialias and aspect ratios stay with tract".into());
    }
    let given = match node.input(3) {
        Some(_) => Some(lower.ints(node, 3).ok_or("its sizes are computed")?),
        None => None,
    };
    // The scales are the second input in set 10, the third later.
    let at = if node.input.len() == 2 { 1 } else { 2 };
    let scales = match node.input(at) {
        Some(name) => Some(lower.known(name).ok_or("its scales are computed")?.values),
        None => None,
    };
    let old = [height, width];
    let sizes = given.map(|given| sizes::<4>(&given, 1).unwrap_or_default());
    let (new, scale): ([usize; 2], [f32; 2]) = match (sizes, scales.as_deref()) {
        (Some([1, c, h, w]), _) if c == channels => {
            let new = [h, w];
            (new, [0, 1].map(|axis| new[axis] as f32 / old[axis] as f32))
        }
        (None, Some(&[n, c, h, w])) if (n, c) == (1.0, 1.0) && h > 0.0 && w > 0.0 => {
            let scale = [h as f32, w as f32];
            ([0, 1].map(|axis| (old[axis] as f32 * scale[axis]).floor() as usize), scale)
        }
        _ => return Err("it resizes more than the sides of a map".into()),
    };
    if new.contains(&0) {
        return Err("nothing is left of it".into());
    }
    let nearest = match node.text("mode").as_str() {
        "" | "nearest" => true,
        "linear" => false,
        other => return Err(format!("{other} interpolation")),
    };
    // Set 10 knew one form only.
    let (form, rounding) = match lower.model.opset() {
        ..11 => ("asymmetric".to_owned(), "floor".to_owned()),
        _ => (node.text("coordinate_transformation_mode"), node.text("nearest_mode")),
    };
    let place = |axis: usize, at: usize| -> Result<f32, Reason> {
        let (x, from, to) = (at as f32, old[axis] as f32, new[axis] as f32);
        Ok(match form.as_str() {
            "" | "half_pixel" => (x + 0.5) / scale[axis] - 0.5,
            "pytorch_half_pixel" => {
                if new[axis] > 1 {
                    (x + 0.5) / scale[axis] - 0.5
                } else {
                    0.0
                }
            }
            "asymmetric" => x / scale[axis],
            "align_corners" => {
                if new[axis] > 1 {
                    x * (from - 1.0) / (to - 1.0)
                } else {
                    0.0
                }
            }
            "tf_half_pixel_for_nn" => (x + 0.5) / scale[axis],
            other => return Err(format!("coordinates are {other}")),
        })
    };
    let taps = |axis: usize| -> Result<Vec<Tap>, Reason> {
        let last = old[axis] - 1;
        let one = |at: usize| {
            let x = place(axis, at)?;
            if nearest {
                let x = match rounding.as_str() {
                    "" | "round_prefer_floor" => (x - 0.5).ceil(),
                    "round_prefer_ceil" => (x + 0.5).floor(),
                    "floor" => x.floor(),
                    "ceil" => x.ceil(),
                    other => return Err(format!("rounding is {other}")),
                };
                let at = (x.max(0.0) as usize).min(last);
                return Ok(Tap { at: [at, at], weight: 0.0 });
            }
            let x = x.clamp(0.0, last as f32);
            let first = (x.floor() as usize).min(last);
            Ok(Tap { at: [first, (first + 1).min(last)], weight: x - first as f32 })
        };
        (0..new[axis]).map(one).collect()
    };
    let (down, across) = (taps(0)?, taps(1)?);
    let map = lower.map(&from, [0; 2])?;
    let to = lower.place(&node.output[0], &[1, channels, new[0], new[1]])?;
    let target = to.map().ok_or("its output is no map")?;
    lower.builder.step(Draft::Resize { from: map, to: target, down, across, nearest });
    lower.set(node, 0, to)
}

/// Softmax along an axis.
pub fn softmax(lower: &mut Lower, node: &NodeProto) -> Result<(), Reason> {
    let from = lower.input(node, 0)?;
    let (rank, old) = (from.sides.len() as i64, lower.model.opset() < 13);
    let axis = node.int("axis", if old { 1 } else { -1 });
    let axis = usize::try_from(if axis < 0 { axis + rank } else { axis }).ok().filter(|axis| *axis < from.sides.len());
    let axis = axis.ok_or("its axis lies outside")?;
    // In old sets, it runs over all axes from this one on.
    if old && from.sides[axis + 1..].iter().any(|side| *side != 1) {
        return Err("it runs over several axes".into());
    }
    let to = lower.place_like(&node.output[0], &from, &from.sides)?;
    lower.builder.step(Draft::Softmax { from, to: to.clone(), axis });
    lower.set(node, 0, to)
}

/// The index of the maximum. Indices are integers in the graph, and floats until they leave the block.
pub fn arg_max(lower: &mut Lower, node: &NodeProto) -> Result<(), Reason> {
    let name = node.output(0).ok_or("it has no output")?;
    if node.int("select_last_index", 0) != 0 {
        return Err("it takes the last of equal ones".into());
    }
    if lower.index.users(name).iter().any(|user| (lower.allowed)(*user)) {
        return Err("its indices are used in the graph".into());
    }
    // Levels are in the order of what they stand for.
    let level = node.input(0).and_then(|name| lower.levels.get(name)).filter(|level| !level.raw);
    let from = match level {
        Some(level) => level.view.clone(),
        None => lower.input(node, 0)?,
    };
    let axis = node.int("axis", 0);
    let axis = usize::try_from(if axis < 0 { axis + from.sides.len() as i64 } else { axis }).ok();
    let axis = axis.filter(|axis| *axis < from.sides.len()).ok_or("its axis lies outside")?;
    let mut sides = from.sides.clone();
    sides[axis] = 1;
    let list = lower.builder.list(&sides);
    lower.builder.step(Draft::ArgMax { from, to: list.clone(), axis });
    let view = if node.int("keepdims", 1) == 1 {
        list
    } else {
        sides.remove(axis);
        lower.reshape(&list, &sides)?
    };
    lower.indices.insert(name.to_owned());
    lower.set(node, 0, view)
}
