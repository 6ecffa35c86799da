//! Operators that only arrange values: most cost nothing, because they are other views of the same buffer.

use super::known::sizes;
use super::level::Level;
use super::lower::{Lower, Reason};
use crate::kernels::bytes::levels::Work;
use crate::kernels::draft::Draft;
use crate::kernels::view::View;
use crate::onnx::NodeProto;

fn axis(axis: i64, rank: usize) -> Result<usize, Reason> {
    let at = if axis < 0 { axis + rank as i64 } else { axis };
    usize::try_from(at).ok().filter(|at| *at < rank).ok_or_else(|| format!("axis {axis} of {rank}"))
}

/// An attribute of integers, or an input with them.
fn numbers(lower: &Lower, node: &NodeProto, name: &str, input: usize) -> Result<Option<Vec<i64>>, Reason> {
    if let Some(ints) = node.ints(name) {
        return Ok(Some(ints.to_vec()));
    }
    if node.input(input).is_none() {
        return Ok(None);
    }
    lower.ints(node, input).map(Some).ok_or_else(|| format!("its {name} are computed"))
}

pub fn lower(lower: &mut Lower, at: usize) -> Result<(), Reason> {
    let node = lower.node(at);
    if node.op() == "Concat" {
        return concat(lower, node);
    }
    // Levels stay levels, whatever their order.
    let level = node.input(0).and_then(|name| lower.levels.get(name)).cloned();
    let level = level.filter(|_| !matches!(node.op(), "Pad" | "DepthToSpace"));
    let view = match &level {
        Some(level) => level.view.clone(),
        None => lower.input(node, 0)?,
    };
    let rank = view.sides.len();
    let result = match node.op() {
        "Identity" | "Dropout" => view,
        "Transpose" => {
            let reversed: Vec<i64> = (0..rank as i64).rev().collect();
            let order: Result<Vec<usize>, Reason> =
                node.ints("perm").unwrap_or(&reversed).iter().map(|at| axis(*at, rank)).collect();
            let order = order?;
            if order.len() != rank || (0..rank).any(|axis| !order.contains(&axis)) {
                return Err(format!("the order {order:?} of {rank} axes"));
            }
            view.transpose(&order)
        }
        "Reshape" => {
            let to = numbers(lower, node, "shape", 1)?.ok_or("its shape is missing")?;
            let sides = reshaped(&view, &to, node.int("allowzero", 0) == 1)?;
            lower.reshape(&view, &sides)?
        }
        "Flatten" => {
            let at = node.int("axis", 1);
            let at = if at == rank as i64 { rank } else { axis(at, rank)? };
            let sides = [view.sides[..at].iter().product(), view.sides[at..].iter().product()];
            lower.reshape(&view, &sides)?
        }
        "Squeeze" => {
            let axes = numbers(lower, node, "axes", 1)?;
            let axes: Result<Vec<usize>, Reason> = match axes {
                Some(axes) => axes.iter().map(|at| axis(*at, rank)).collect(),
                None => Ok((0..rank).filter(|at| view.sides[*at] == 1).collect()),
            };
            let axes = axes?;
            let sides: Vec<usize> =
                (0..rank).filter(|axis| !axes.contains(axis)).map(|axis| view.sides[axis]).collect();
            lower.reshape(&view, &sides)?
        }
        "Unsqueeze" => {
            let axes = numbers(lower, node, "axes", 1)?.ok_or("its axes are missing")?;
            let all = rank + axes.len();
            let axes: Result<Vec<usize>, Reason> = axes.iter().map(|at| axis(*at, all)).collect();
            let (axes, mut old) = (axes?, view.sides.iter());
            let sides: Vec<usize> =
                (0..all).map(|at| if axes.contains(&at) { 1 } else { *old.next().unwrap_or(&1) }).collect();
            lower.reshape(&view, &sides)?
        }
        "Slice" => slice(lower, node, view)?,
        "Split" => return split(lower, node, &view, level.as_ref()),
        "Gather" => {
            let axis = axis(node.int("axis", 0), rank)?;
            let index = lower.known(node.input(1).unwrap_or_default()).ok_or("its indices are computed")?;
            let &[at] = index.ints().as_slice() else { return Err("it takes several places".into()) };
            let side = view.sides[axis];
            let at = usize::try_from(if at < 0 { at + side as i64 } else { at }).ok().filter(|at| *at < side);
            let part = view.slice(axis, at.ok_or("its index lies outside")?, 1, 1);
            let mut part = part;
            if index.sides.is_empty() {
                part.sides.remove(axis);
                part.strides.remove(axis);
            }
            part
        }
        "Pad" => pad(lower, node, &view)?,
        "DepthToSpace" => {
            let size = node.int("blocksize", 1).max(1) as usize;
            let &[n, c, h, w] = view.sides.as_slice() else { return Err("it takes no map".into()) };
            let few = c / (size * size);
            let columns_first = node.text("mode") == "CRD";
            let (sides, order) = match columns_first {
                true => ([n, few, size, size, h, w], [0, 1, 4, 2, 5, 3]),
                false => ([n, size, size, few, h, w], [0, 3, 4, 1, 5, 2]),
            };
            let blocks = lower.reshape(&view, &sides)?.transpose(&order);
            // Written into a map at once, so that what follows needs no copy.
            let name = node.output(0).ok_or("it has no output")?;
            let to = lower.place(name, &[n, few, h * size, w * size])?;
            let apart = View {
                sides: blocks.sides.clone(),
                strides: vec![
                    to.strides[0],
                    to.strides[1],
                    to.strides[2] * size,
                    to.strides[2],
                    to.strides[3] * size,
                    to.strides[3],
                ],
                ..to
            };
            lower.builder.step(Draft::Copy { from: blocks, to: apart });
            to
        }
        other => return Err(format!("{other} is not compiled")),
    };
    set(lower, node, 0, result, level.as_ref())
}

/// Says where an output lies: as floats, or as levels like those of the input.
fn set(lower: &mut Lower, node: &NodeProto, output: usize, view: View, level: Option<&Level>) -> Result<(), Reason> {
    let Some(level) = level else { return lower.set(node, output, view) };
    let name = node.output(output).ok_or("an output is missing")?;
    lower.levels.insert(name.to_owned(), Level { view, ..level.clone() });
    Ok(())
}

fn reshaped(view: &View, to: &[i64], zeros: bool) -> Result<Vec<usize>, Reason> {
    let mut sides: Vec<usize> = to
        .iter()
        .enumerate()
        .map(
            |(at, &side)| {
                if side == 0 && !zeros { view.sides.get(at).copied().unwrap_or(0) } else { side.max(0) as usize }
            },
        )
        .collect();
    if let Some(open) = to.iter().position(|side| *side == -1) {
        sides[open] = 1;
        let rest = sides.iter().try_fold(1_usize, |all, side| all.checked_mul(*side)).filter(|rest| *rest > 0);
        sides[open] = view.volume() / rest.ok_or_else(|| format!("{to:?} is no shape for {:?}", view.sides))?;
    }
    Ok(sides)
}

fn slice(lower: &Lower, node: &NodeProto, mut view: View) -> Result<View, Reason> {
    let rank = view.sides.len();
    let starts = numbers(lower, node, "starts", 1)?.ok_or("its starts are missing")?;
    let ends = numbers(lower, node, "ends", 2)?.ok_or("its ends are missing")?;
    let axes = numbers(lower, node, "axes", 3)?.unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = numbers(lower, node, "steps", 4)?.unwrap_or_else(|| vec![1; starts.len()]);
    if ends.len() != starts.len() || axes.len() != starts.len() || steps.len() != starts.len() {
        return Err("its numbers do not fit each other".into());
    }
    for at in 0..starts.len() {
        let axis = axis(axes[at], rank)?;
        let side = view.sides[axis] as i64;
        let Some(step) = usize::try_from(steps[at]).ok().filter(|step| *step > 0) else {
            return Err("it runs backwards".into());
        };
        let inside = |at: i64| (if at < 0 { at + side } else { at }).clamp(0, side) as usize;
        let (start, end) = (inside(starts[at]), inside(ends[at]));
        if start >= end {
            return Err("nothing is left of it".into());
        }
        view = view.slice(axis, start, (end - start).div_ceil(step), step);
    }
    Ok(view)
}

fn split(lower: &mut Lower, node: &NodeProto, view: &View, level: Option<&Level>) -> Result<(), Reason> {
    let axis = axis(node.int("axis", 0), view.sides.len())?;
    let side = view.sides[axis];
    let parts = node.output.len();
    let sizes = match numbers(lower, node, "split", 1)? {
        Some(sizes) => sizes.iter().map(|size| (*size).max(0) as usize).collect(),
        None => {
            let each = side.div_ceil(parts);
            (0..parts).map(|at| each.min(side.saturating_sub(at * each))).collect::<Vec<usize>>()
        }
    };
    if sizes.len() != parts || sizes.iter().sum::<usize>() != side || sizes.contains(&0) {
        return Err(format!("{side} values in parts of {sizes:?}"));
    }
    let mut start = 0;
    for (at, size) in sizes.into_iter().enumerate() {
        if node.output(at).is_some() {
            set(lower, node, at, view.slice(axis, start, size, 1), level)?;
        }
        start += size;
    }
    Ok(())
}

fn concat(lower: &mut Lower, node: &NodeProto) -> Result<(), Reason> {
    let name = node.output(0).ok_or("it has no output")?;
    if let Some(done) = concat_levels(lower, node, name)? {
        return Ok(done);
    }
    let views: Result<Vec<View>, Reason> = (0..node.input.len()).map(|at| lower.input(node, at)).collect();
    let views = views?;
    let first = views.first().ok_or("it has no inputs")?;
    let axis = axis(node.int("axis", 0), first.sides.len())?;
    let mut sides = first.sides.clone();
    sides[axis] = 0;
    for view in &views {
        let alike = view.sides.len() == sides.len()
            && view.sides.iter().zip(&sides).enumerate().all(|(at, (a, b))| at == axis || a == b);
        if !alike {
            return Err("its inputs do not fit each other".into());
        }
        sides[axis] += view.sides[axis];
    }
    // Some of the inputs may have been written into it already.
    let whole = match lower.values.get(name) {
        Some(whole) => whole.clone(),
        None => lower.place_like(name, first, &sides)?,
    };
    let mut start = 0;
    for view in views {
        let part = whole.slice(axis, start, view.sides[axis], 1);
        start += view.sides[axis];
        if view.buffer != part.buffer || view.offset != part.offset || view.strides != part.strides {
            lower.builder.step(Draft::Copy { from: view, to: part });
        }
    }
    lower.set(node, 0, whole)
}

/// A Concat of levels, all as they are or all of one scale; `None` if it is another.
fn concat_levels(lower: &mut Lower, node: &NodeProto, name: &str) -> Result<Option<()>, Reason> {
    let levels: Option<Vec<Level>> = node.input.iter().map(|input| lower.levels.get(input).cloned()).collect();
    let Some(levels) = levels else { return Ok(None) };
    let Some(first) = levels.first().cloned() else { return Ok(None) };
    let alike = |level: &Level| {
        let quant = level.quant == first.quant || first.raw;
        level.raw == first.raw && level.signed == first.signed && quant
    };
    if !levels.iter().all(alike) {
        return Ok(None);
    }
    let axis = axis(node.int("axis", 0), first.view.sides.len())?;
    let mut sides = first.view.sides.clone();
    sides[axis] = 0;
    for level in &levels {
        let own = &level.view.sides;
        if own.len() != sides.len() || own.iter().zip(&sides).enumerate().any(|(at, (a, b))| at != axis && a != b) {
            return Err("its inputs do not fit each other".into());
        }
        sides[axis] += own[axis];
    }
    let zero = first.quant.map_or(0, |quant| quant.zero);
    let whole = match lower.levels.get(name) {
        Some(whole) => whole.view.clone(),
        None => lower.place_levels(name, &sides, zero)?,
    };
    let same = levels.iter().all(|level| level.quant == first.quant);
    let mut start = 0;
    for level in &levels {
        let part = whole.slice(axis, start, level.view.sides[axis], 1);
        start += level.view.sides[axis];
        let there =
            level.view.buffer == part.buffer && level.view.offset == part.offset && level.view.strides == part.strides;
        if !there {
            lower.builder.step(Draft::Level { work: Work::Copy, from: level.view.clone(), to: part });
        }
    }
    let quant = first.quant.filter(|_| same);
    lower.levels.insert(name.to_owned(), Level { view: whole, quant, ..first });
    Ok(Some(()))
}

/// Zeros around a map: its border.
fn pad(lower: &mut Lower, node: &NodeProto, view: &View) -> Result<View, Reason> {
    let pads = numbers(lower, node, "pads", 1)?.ok_or("its pads are missing")?;
    let value = match node.input(2) {
        Some(_) => lower.float(node, 2, 0.0)?,
        None => node.float("value", 0.0),
    };
    let mode = node.text("mode");
    let (&[1, c, h, w], Some([0, 0, top, left, 0, 0, bottom, right])) = (view.sides.as_slice(), sizes::<8>(&pads, 0))
    else {
        return Err("it pads more than the sides of a map".into());
    };
    if value != 0.0 || !matches!(mode.as_str(), "" | "constant") {
        return Err("it pads with other values than 0".into());
    }
    let inner = lower.new_map([c, h, w], [top.max(left), bottom.max(right)])?;
    lower.builder.step(Draft::Copy { from: view.clone(), to: inner.clone() });
    let mut padded = inner;
    padded.offset -= top * padded.strides[2] + left * padded.strides[3];
    padded.sides = vec![1, c, h + top + bottom, w + left + right];
    Ok(padded)
}
