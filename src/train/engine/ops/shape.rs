//! Operators that move values without changing them.

use super::graph::{Read, Values, inputs};
use crate::onnx::NodeProto;
use crate::train::engine::kernel::{Keeps, Kernel, Pass, Saved};
use crate::train::engine::tensor::Tensor;

type Shapes<'a> = &'a dyn Fn(&str) -> Option<Vec<usize>>;

/// An axis counted from the end if it is negative.
fn axis(axis: i64, rank: usize) -> Result<usize, String> {
    let at = if axis < 0 { axis + rank as i64 } else { axis };
    usize::try_from(at).ok().filter(|at| *at < rank).ok_or_else(|| format!("axis {axis} of {rank} sides"))
}

struct Concat(i64);

pub(super) fn concat(node: &NodeProto) -> Read<'_> {
    Ok((Box::new(Concat(node.int("axis", 0))), inputs(node, usize::MAX)))
}

impl Concat {
    /// Blocks before the axis, and the values of a block of each input.
    fn blocks(&self, inputs: &[&Tensor]) -> (usize, Vec<usize>) {
        let at = axis(self.0, inputs[0].shape.len()).unwrap_or(0);
        let len = |x: &&Tensor| x.shape[at..].iter().product();
        (inputs[0].shape[..at].iter().product(), inputs.iter().map(len).collect())
    }
}

impl Kernel for Concat {
    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        let at = axis(self.0, inputs[0].len())?;
        let fits = |x: &&&[usize]| {
            x.len() == inputs[0].len() && x.iter().zip(inputs[0]).enumerate().all(|(i, (a, b))| i == at || a == b)
        };
        if let Some(other) = inputs.iter().find(|x| !fits(x)) {
            return Err(format!("{:?} and {other:?} side by side along axis {at}", inputs[0]));
        }
        let mut shape = inputs[0].to_vec();
        shape[at] = inputs.iter().map(|x| x[at]).sum();
        Ok(shape)
    }

    fn keeps(&self) -> Keeps {
        Keeps::NOTHING
    }

    fn forward(&self, inputs: &[&Tensor], output: &mut Tensor, _: &mut Saved) {
        let (blocks, lens) = self.blocks(inputs);
        let mut to = output.values.as_mut_slice();
        for block in 0..blocks {
            for (x, len) in inputs.iter().zip(&lens) {
                let (now, rest) = to.split_at_mut(*len);
                now.copy_from_slice(&x.values[block * len..][..*len]);
                to = rest;
            }
        }
    }

    fn backward(&self, pass: Pass<'_>, gradients: &mut [Option<Vec<f32>>]) {
        let (blocks, lens) = self.blocks(pass.inputs);
        let mut g = &*pass.gradient;
        for block in 0..blocks {
            for (to, len) in gradients.iter_mut().zip(&lens) {
                let (now, rest) = g.split_at(*len);
                if let Some(to) = to {
                    to[block * len..][..*len].iter_mut().zip(now).for_each(|(to, g)| *to += g);
                }
                g = rest;
            }
        }
    }
}

struct Reshape(Vec<usize>);

pub(super) fn reshape<'a>(node: &'a NodeProto, values: &Values<'_>, shapes: Shapes<'_>) -> Read<'a> {
    let name = node.input(0).ok_or("it has no input")?;
    let from = shapes(name).ok_or_else(|| format!("the shape of `{name}` is not known"))?;
    let ints = |attribute: &str| node.ints(attribute).map(<[i64]>::to_vec).or_else(|| values.ints(node.input(1)));
    let to: Vec<usize> = match node.op() {
        "Flatten" => {
            let at = node.int("axis", 1);
            let at = if at < 0 { at + from.len() as i64 } else { at } as usize;
            let at = at.min(from.len());
            vec![from[..at].iter().product(), from[at..].iter().product()]
        }
        "Squeeze" => {
            let axes: Option<Vec<usize>> =
                ints("axes").map(|axes| axes.iter().map(|at| axis(*at, from.len())).collect()).transpose()?;
            let gone = |at: usize| axes.as_ref().map_or(from[at] == 1, |axes| axes.contains(&at));
            (0..from.len()).filter(|at| !gone(*at)).map(|at| from[at]).collect()
        }
        "Unsqueeze" => {
            let axes = ints("axes").ok_or("its axes are computed")?;
            let rank = from.len() + axes.len();
            let axes: Vec<usize> = axes.iter().map(|at| axis(*at, rank)).collect::<Result<_, _>>()?;
            let mut sides = from.iter();
            (0..rank)
                .map(|at| if axes.contains(&at) { Some(1) } else { sides.next().copied() })
                .map(|s| s.unwrap_or(1))
                .collect()
        }
        _ => {
            let wanted = values.ints(node.input(1)).ok_or("its shape is computed; simplify the graph first")?;
            let keep = |(at, side): (usize, &i64)| match side {
                0 => from.get(at).copied().unwrap_or(0),
                _ => usize::try_from(*side).unwrap_or(0),
            };
            let mut to: Vec<usize> = wanted.iter().enumerate().map(keep).collect();
            let all: usize = from.iter().product();
            let open = wanted.iter().position(|side| *side == -1);
            // A graph that was exported for one picture, with a batch of several.
            let several = to.first() == Some(&1) && from.first().is_some_and(|batch| *batch > 1);
            if several && open.is_some() {
                to[0] = from[0];
            }
            if let Some(open) = open.or(several.then_some(0)) {
                let rest: usize = to.iter().enumerate().filter(|(at, _)| *at != open).map(|(_, side)| side).product();
                to[open] = all.checked_div(rest).unwrap_or(0);
            }
            to
        }
    };
    if to.iter().product::<usize>() != from.iter().product::<usize>() {
        return Err(format!("{from:?} cannot become {to:?}"));
    }
    Ok((Box::new(Reshape(to)), vec![name]))
}

impl Kernel for Reshape {
    fn shape(&self, _: &[&[usize]]) -> Result<Vec<usize>, String> {
        Ok(self.0.clone())
    }

    fn keeps(&self) -> Keeps {
        Keeps::NOTHING
    }

    fn forward(&self, inputs: &[&Tensor], output: &mut Tensor, _: &mut Saved) {
        output.values.copy_from_slice(&inputs[0].values);
    }

    fn backward(&self, pass: Pass<'_>, gradients: &mut [Option<Vec<f32>>]) {
        if let Some(to) = &mut gradients[0] {
            to.iter_mut().zip(pass.gradient.iter()).for_each(|(to, g)| *to += g);
        }
    }
}

/// Takes values from other places of the input: a transposition, a slice, a border. For each axis of the result: the
/// places of the input, with `None` for a border, and their stride.
struct Move {
    shape: Vec<usize>,
    axes: Vec<(Vec<Option<usize>>, usize)>,
    fill: f32,
}

impl Move {
    /// Calls with the place in the result and that in the input.
    fn walk(&self, mut call: impl FnMut(usize, Option<usize>)) {
        let Some((last, outer)) = self.axes.split_last() else { return call(0, Some(0)) };
        let inner = last.0.len();
        let rows: usize = outer.iter().map(|(places, _)| places.len()).product();
        let mut at = vec![0_usize; outer.len()];
        for row in 0..rows {
            let places = at.iter().zip(outer).map(|(at, (places, stride))| Some(places[*at]? * stride));
            let start = places.sum::<Option<usize>>();
            for (i, place) in last.0.iter().enumerate() {
                call(row * inner + i, start.zip(*place).map(|(start, place)| start + place * last.1));
            }
            for axis in (0..outer.len()).rev() {
                at[axis] += 1;
                if at[axis] < outer[axis].0.len() {
                    break;
                }
                at[axis] = 0;
            }
        }
    }
}

fn strides(shape: &[usize]) -> Vec<usize> {
    (0..shape.len()).map(|at| shape[at + 1..].iter().product()).collect()
}

pub(super) fn transpose<'a>(node: &'a NodeProto, shapes: Shapes<'_>) -> Read<'a> {
    let name = node.input(0).ok_or("it has no input")?;
    let from = shapes(name).ok_or_else(|| format!("the shape of `{name}` is not known"))?;
    let order: Vec<usize> = match node.ints("perm") {
        Some(order) => order.iter().map(|at| axis(*at, from.len())).collect::<Result<_, _>>()?,
        None => (0..from.len()).rev().collect(),
    };
    let strides = strides(&from);
    let axes = order.iter().map(|at| ((0..from[*at]).map(Some).collect(), strides[*at])).collect();
    Ok((Box::new(Move { shape: order.iter().map(|at| from[*at]).collect(), axes, fill: 0.0 }), vec![name]))
}

pub(super) fn slice<'a>(node: &'a NodeProto, values: &Values<'_>, shapes: Shapes<'_>) -> Read<'a> {
    let name = node.input(0).ok_or("it has no input")?;
    let from = shapes(name).ok_or_else(|| format!("the shape of `{name}` is not known"))?;
    let ints =
        |at: usize, attribute: &str| node.ints(attribute).map(<[i64]>::to_vec).or_else(|| values.ints(node.input(at)));
    let (Some(starts), Some(ends)) = (ints(1, "starts"), ints(2, "ends")) else {
        return Err("its bounds are computed; simplify the graph first".into());
    };
    let picked = ints(3, "axes").unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = ints(4, "steps").unwrap_or_else(|| vec![1; starts.len()]);
    if ends.len() != starts.len() || picked.len() != starts.len() || steps.len() != starts.len() {
        return Err("it has another number of starts than of ends, axes or steps".into());
    }
    let mut places: Vec<Vec<Option<usize>>> = from.iter().map(|side| (0..*side).map(Some).collect()).collect();
    for (((start, end), at), step) in starts.iter().zip(&ends).zip(&picked).zip(&steps) {
        let at = axis(*at, from.len())?;
        let side = from[at] as i64;
        let turn = |place: i64| if place < 0 { place.saturating_add(side) } else { place };
        places[at] = match step {
            1.. => (turn(*start).clamp(0, side)..turn(*end).clamp(0, side))
                .step_by(*step as usize)
                .map(|place| Some(place as usize))
                .collect(),
            _ => return Err("it goes backwards".into()),
        };
    }
    let strides = strides(&from);
    let shape = places.iter().map(Vec::len).collect();
    Ok((Box::new(Move { shape, axes: places.into_iter().zip(strides).collect(), fill: 0.0 }), vec![name]))
}

pub(super) fn pad<'a>(node: &'a NodeProto, values: &Values<'_>, shapes: Shapes<'_>) -> Read<'a> {
    let name = node.input(0).ok_or("it has no input")?;
    let from = shapes(name).ok_or_else(|| format!("the shape of `{name}` is not known"))?;
    let pads = node.ints("pads").map(<[i64]>::to_vec).or_else(|| values.ints(node.input(1)));
    let pads = pads.ok_or("its pads are computed; simplify the graph first")?;
    let rank = from.len();
    if pads.len() != 2 * rank {
        return Err(format!("{} pads for {rank} sides", pads.len()));
    }
    let mode = node.text("mode");
    let fill = values.floats(node.input(2)).and_then(|fill| fill.first().copied()).unwrap_or(node.float("value", 0.0));
    let mut places = Vec::new();
    for (at, side) in from.iter().enumerate() {
        let side = *side as i64;
        let place = |place: i64| match mode.as_str() {
            "" | "constant" => Ok((0..side).contains(&place).then_some(place as usize)),
            "edge" => Ok(Some(place.clamp(0, side - 1) as usize)),
            "reflect" if (0..side).contains(&place) => Ok(Some(place as usize)),
            "reflect" if side > 1 => {
                let turn = place.rem_euclid(2 * (side - 1));
                Ok(Some(turn.min(2 * (side - 1) - turn) as usize))
            }
            other => Err(format!("the mode `{other}`")),
        };
        let axis: Result<Vec<_>, _> = (-pads[at]..side + pads[at + rank]).map(place).collect();
        places.push(axis?);
    }
    let strides = strides(&from);
    let shape = places.iter().map(Vec::len).collect();
    Ok((Box::new(Move { shape, axes: places.into_iter().zip(strides).collect(), fill }), vec![name]))
}

impl Kernel for Move {
    fn shape(&self, _: &[&[usize]]) -> Result<Vec<usize>, String> {
        Ok(self.shape.clone())
    }

    fn keeps(&self) -> Keeps {
        Keeps::NOTHING
    }

    fn forward(&self, inputs: &[&Tensor], output: &mut Tensor, _: &mut Saved) {
        let (from, to) = (&inputs[0].values, &mut output.values);
        self.walk(|at, place| to[at] = place.map_or(self.fill, |place| from[place]));
    }

    fn backward(&self, pass: Pass<'_>, gradients: &mut [Option<Vec<f32>>]) {
        let Some(to) = &mut gradients[0] else { return };
        self.walk(|at, place| {
            if let Some(place) = place {
                to[place] += pass.gradient[at];
            }
        });
    }
}
