//! Values of 8 bits: QuantizeLinear, DequantizeLinear, and the operators between them that are computed on levels.

use super::dense;
use super::focus::Focus;
use super::fuse::{act_of, activation, tail};
use super::level::Level;
use super::lower::{Lower, Reason};
use super::weights::Weights;
use super::windows::{sides_of, window_of};
use crate::kernels::Act;
use crate::kernels::bytes::conv::{Numbers, Out};
use crate::kernels::bytes::depthwise::MOST_TAPS;
use crate::kernels::bytes::levels::{Pair, Quant, Work};
use crate::kernels::draft::Draft;
use crate::kernels::pool::Pooling;
use crate::kernels::view::View;
use crate::kernels::window::Window;
use crate::onnx::{DataType, NodeProto};

/// The scale and the zero of a QuantizeLinear or DequantizeLinear of a whole tensor, and whether levels are signed.
fn params(lower: &Lower, node: &NodeProto) -> Result<(Quant, bool), Reason> {
    let scale = node.input(1).and_then(|name| lower.known(name)).filter(|known| known.values.len() == 1);
    let scale = scale.ok_or("its scale is not one known number")?.values[0] as f32;
    let (zero, signed) = match node.input(2) {
        None => (0, false),
        Some(name) => {
            let tensor = lower.index.weight(lower.model.graph(), name).ok_or("its zero is computed")?;
            let signed = match tensor.kind() {
                DataType::U8 => false,
                DataType::I8 => true,
                other => return Err(format!("its levels are {other:?}")),
            };
            let zero = *tensor.ints().map_err(|e| e.to_string())?.first().ok_or("its zero is missing")?;
            (zero, signed)
        }
    };
    let zero = u8::try_from(zero + if signed { 128 } else { 0 }).map_err(|_| "its zero is no level".to_owned())?;
    if !(scale.is_finite() && scale > 0.0) {
        return Err(format!("its scale is {scale}"));
    }
    Ok((Quant { scale, zero }, signed))
}

/// The QuantizeLinear that alone uses a value: its node, its result, its levels.
fn rounded(lower: &Lower, name: &str) -> Option<(usize, String, Quant, bool)> {
    let user = lower.only_user(name)?;
    let node = lower.node(user);
    if node.op() != "QuantizeLinear" {
        return None;
    }
    let (quant, signed) = params(lower, node).ok()?;
    Some((user, node.output(0)?.to_owned(), quant, signed))
}

/// What an input stands for, if it is known by levels.
pub fn level_of(lower: &Lower, name: &str) -> Option<(View, Quant)> {
    let level = lower.levels.get(name).filter(|level| !level.raw)?;
    Some((level.view.clone(), level.quant?))
}

/// QuantizeLinear.
pub fn quantize(lower: &mut Lower, node: &NodeProto) -> Result<(), Reason> {
    let (input, output) = (node.input(0).ok_or("it has no input")?, node.output(0).ok_or("it has no output")?);
    let (quant, signed) = params(lower, node)?;
    let levels = level_of(lower, input);
    let view = match levels {
        // Levels that stand for the same already.
        Some((view, old)) if old == quant && lower.homes.of(output).is_none() => view,
        Some((view, old)) => {
            let to = lower.place_levels(output, &view.sides, quant.zero)?;
            let table = Box::new(std::array::from_fn(|level| quant.level(old.value(level as u8))));
            lower.builder.step(Draft::Level { work: Work::Table(table), from: view, to: to.clone() });
            to
        }
        None => {
            let from = lower.view(input)?;
            let to = lower.place_levels(output, &from.sides, quant.zero)?;
            lower.builder.step(Draft::Level { work: Work::Round(quant), from, to: to.clone() });
            to
        }
    };
    lower.levels.insert(output.to_owned(), Level { view, quant: Some(quant), signed, raw: true });
    Ok(())
}

/// DequantizeLinear: costs nothing by itself.
pub fn dequantize<'a>(lower: &mut Lower<'a>, node: &'a NodeProto) -> Result<(), Reason> {
    let (input, output) = (node.input(0).ok_or("it has no input")?, node.output(0).ok_or("it has no output")?);
    if lower.index.weight(lower.model.graph(), input).is_some() {
        Weights::of(lower.model, lower.index, node)?;
        lower.weights.insert(output.to_owned(), node);
        return Ok(());
    }
    let (quant, signed) = params(lower, node)?;
    let level = lower.levels.get(input).filter(|level| level.raw && level.signed == signed);
    let level = level.ok_or("its levels come from tract")?;
    let level = Level { quant: Some(quant), raw: false, ..level.clone() };
    lower.levels.insert(output.to_owned(), level);
    Ok(())
}

/// A convolution of levels with weights of levels; `None` if it is not one.
pub fn conv(lower: &mut Lower, at: usize) -> Result<Option<()>, Reason> {
    let node = lower.node(at);
    let Some((view, quant)) = node.input(0).and_then(|name| level_of(lower, name)) else { return Ok(None) };
    let maker = |input: usize| {
        let maker = lower.node(lower.index.maker(node.input(input)?)?);
        (maker.op() == "DequantizeLinear").then_some(maker)
    };
    let Some(maker_of_weights) = maker(1) else { return Ok(None) };
    let Some((shape, words, scales)) = Weights::of(lower.model, lower.index, maker_of_weights)?.words() else {
        return Ok(None);
    };
    let (&[outputs, inputs, rows, columns], &[1, channels, height, width]) = (shape.as_slice(), view.sides.as_slice())
    else {
        return Ok(None);
    };
    let groups = usize::try_from(node.int("group", 1)).unwrap_or(0);
    let depthwise = groups > 1 && inputs == 1 && outputs == groups;
    let fits = groups > 0 && inputs * groups == channels && words.len() == outputs * inputs * rows * columns;
    if !fits || (groups > 1 && !depthwise) || (depthwise && rows * columns > MOST_TAPS) {
        return Ok(None);
    }
    // Sums of products stay in 32 bits.
    if inputs * rows * columns > (1 << 31) / (255 * 255) {
        return Ok(None);
    }
    let scale = |output: usize| quant.scale * scales[if scales.len() == 1 { 0 } else { output }];
    let bias = match node.input(2) {
        None => vec![0; outputs],
        Some(name) => {
            let levels = maker(2).and_then(|maker| lower.index.weight(lower.model.graph(), maker.input(0)?));
            match (levels, lower.floats(name)) {
                (Some(levels), _) if levels.kind() == DataType::I32 && levels.volume() == Some(outputs) => {
                    levels.ints().map_err(|e| e.to_string())?.into_iter().map(|bias| bias as i32).collect()
                }
                (_, Some((_, floats))) if floats.len() == outputs => {
                    floats.iter().enumerate().map(|(at, bias)| (bias / scale(at)).round_ties_even() as i32).collect()
                }
                _ => return Ok(None),
            }
        }
    };
    let mut said = node.clone();
    if node.ints("kernel_shape").is_none() {
        said = said.with_ints("kernel_shape", &[rows as i64, columns as i64]);
    }
    let window = window_of(&said, [height, width])?;
    let [h, w] = sides_of(&said, &window, [height, width])?;
    if window.kernel != [rows, columns] {
        return Err("the kernel's shape is not that of its weights".into());
    }
    let sides = [1, outputs, h, w];
    let border = |window: &Window, [channels, height, width]: [usize; 3]| {
        window.border([channels, height, width], [outputs, h, w], true).map(|[down, across]| down.max(across))
    };
    let focus = if groups == 1 { seen_whole(lower, node, &window) } else { None };
    let (from, window, words) = match focus {
        Some((root, wide, focus)) => {
            let whole = [root.sides[1], root.sides[2], root.sides[3]];
            let levels = lower.new_level_map(whole, border(&wide, whole), quant.zero)?;
            lower.builder.step(Draft::Level { work: Work::Round(quant), from: root, to: levels.clone() });
            let words = focus.weights(&words, whole[0], window.kernel);
            (levels.map().ok_or("a new map is no map")?, wide, words)
        }
        None => (lower.level_map(&view, border(&window, [channels, height, width]), quant.zero)?, window, words),
    };
    let name = node.output(0).ok_or("it has no output")?;
    // Perhaps bounds, then levels again.
    let mut bounds = (name.to_owned(), (f32::NEG_INFINITY, f32::INFINITY), Vec::new());
    if rounded(lower, name).is_none()
        && let Some((act, next, nodes)) = activation(lower, name)
        && let Some(both) = act.bounds()
    {
        bounds = (next, both, nodes);
    }
    let real: Vec<f32> = (0..outputs).map(scale).collect();
    if let Some((user, last, to, signed)) = rounded(lower, &bounds.0) {
        let target = lower.place_levels(&last, &sides, to.zero)?;
        let (lo, hi) = (to.level(bounds.1.0.max(-3e38)), to.level(bounds.1.1.min(3e38)));
        let numbers = Numbers {
            weights: words,
            bias,
            zero: i32::from(quant.zero),
            scales: real.iter().map(|scale| scale / to.scale).collect(),
        };
        let out = Out::Levels { zero: to.zero, lo, hi };
        let map = target.map().ok_or("its output is no map")?;
        lower.builder.step(Draft::LevelConv { from, to: map, window, numbers, out, depthwise });
        lower.levels.insert(last, Level { view: target, quant: Some(to), signed, raw: true });
        lower.taken.extend(bounds.2);
        lower.taken.insert(user);
        return Ok(Some(()));
    }
    let tail = tail(lower, at, name, &sides);
    let target = lower.place(&tail.name, &sides)?;
    let epilogue = dense::finish(lower, &tail)?;
    let numbers = Numbers { weights: words, bias, zero: i32::from(quant.zero), scales: real };
    let map = target.map().ok_or("its output is no map")?;
    lower.builder.step(Draft::LevelConv { from, to: map, window, numbers, out: Out::Floats(epilogue), depthwise });
    lower.values.insert(tail.name, target);
    lower.taken.extend(tail.nodes);
    Ok(Some(()))
}

/// The picture, if a convolution is of the levels of its even and odd rows and columns on top of each other, and the
/// window on it.
fn seen_whole(lower: &Lower, node: &NodeProto, window: &Window) -> Option<(View, Window, Focus)> {
    let maker = |name: &str| lower.index.maker(name).map(|at| lower.node(at));
    let rounded = maker(maker(node.input(0)?)?.input(0)?).filter(|node| node.op() == "QuantizeLinear")?;
    dense::picture(lower, rounded.input(0)?, window)
}

/// An activation of levels that is rounded again: a table.
pub fn table(
    lower: &mut Lower,
    at: usize,
    act: Act,
    input: &str,
    name: &str,
    nodes: &[usize],
) -> Result<Option<()>, Reason> {
    let (Some((view, quant)), Some((user, last, to, signed))) = (level_of(lower, input), rounded(lower, name)) else {
        return Ok(None);
    };
    let target = lower.place_levels(&last, &view.sides, to.zero)?;
    let table = Box::new(std::array::from_fn(|level| to.level(act.of(quant.value(level as u8)))));
    lower.builder.step(Draft::Level { work: Work::Table(table), from: view, to: target.clone() });
    lower.levels.insert(last, Level { view: target, quant: Some(to), signed, raw: true });
    lower.taken.extend(nodes.iter().copied().filter(|node| *node != at));
    lower.taken.insert(user);
    Ok(Some(()))
}

/// A sum or a product of levels that is rounded again.
pub fn pair(lower: &mut Lower, node: &NodeProto) -> Result<Option<()>, Reason> {
    let [a, b] = [0, 1].map(|at| node.input(at).and_then(|name| level_of(lower, name)));
    let (Some((a, first)), Some((b, second))) = (a, b) else { return Ok(None) };
    let Some((user, last, to, signed)) = node.output(0).and_then(|name| rounded(lower, name)) else { return Ok(None) };
    if a.sides != b.sides {
        return Ok(None);
    }
    let zeros = [first.zero, second.zero].map(f32::from);
    let pair = match node.op() {
        "Add" => {
            let (one, two) = (first.scale / to.scale, second.scale / to.scale);
            // Fused as in ONNX Runtime, or a half is rounded another way once in a million sums.
            let less = one.mul_add(zeros[0], two * zeros[1]);
            Pair::Add { first: one, second: two, rest: f32::from(to.zero) - less }
        }
        "Mul" => Pair::Mul {
            first: zeros[0],
            second: zeros[1],
            scale: first.scale * second.scale / to.scale,
            zero: f32::from(to.zero),
        },
        _ => return Ok(None),
    };
    let target = lower.place_levels(&last, &a.sides, to.zero)?;
    lower.builder.step(Draft::LevelPair { pair, a, b, to: target.clone() });
    lower.levels.insert(last, Level { view: target, quant: Some(to), signed, raw: true });
    lower.taken.insert(user);
    Ok(Some(()))
}

/// A pool of levels: a maximum stays at its levels, a mean is rounded again.
pub fn pool(
    lower: &mut Lower,
    node: &NodeProto,
    window: Window,
    pooling: Pooling,
    sides: &[usize],
) -> Result<Option<()>, Reason> {
    let (Some(input), Some(output)) = (node.input(0), node.output(0)) else { return Ok(None) };
    let Some((view, quant)) = level_of(lower, input) else { return Ok(None) };
    let (name, to, signed, raw, user) = match (pooling, rounded(lower, output)) {
        (Pooling::Max, _) => (output.to_owned(), quant, lower.levels[input].signed, false, None),
        (_, Some((user, last, to, signed))) => (last, to, signed, true, Some(user)),
        _ => return Ok(None),
    };
    let from = lower.level_map(&view, [0; 2], quant.zero)?;
    let target = lower.place_levels(&name, sides, to.zero)?;
    let map = target.map().ok_or("its output is no map")?;
    lower.builder.step(Draft::LevelPool { from, to: map, window, pooling, quants: [quant, to] });
    lower.levels.insert(name, Level { view: target, quant: Some(to), signed, raw });
    lower.taken.extend(user);
    Ok(Some(()))
}

/// Whether a node is the first of an activation of levels: what it is.
pub fn act_at(lower: &Lower, at: usize) -> Option<(Act, String, String, Vec<usize>)> {
    let node = lower.node(at);
    for input in &node.input {
        if let Some((act, name, nodes)) = activation(lower, input).filter(|(.., nodes)| nodes.contains(&at)) {
            return Some((act, input.clone(), name, nodes));
        }
    }
    let act = act_of(lower, node)?;
    Some((act, node.input(0)?.to_owned(), node.output(0)?.to_owned(), vec![at]))
}
