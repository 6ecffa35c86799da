//! Convolutions, products with matrices of weights, and what is computed along with them.

use super::focus::Focus;
use super::fuse::{Tail, tail};
use super::lower::{Lower, Reason};
use super::windows::{sides_of, window_of};
use crate::kernels::draft::Draft;
use crate::kernels::view::{Map, View};
use crate::kernels::window::{Epilogue, Window};

/// A convolution with what follows it.
pub fn conv(lower: &mut Lower, at: usize) -> Result<(), Reason> {
    let node = lower.node(at);
    let (shape, weights) = node.input(1).and_then(|name| lower.floats(name)).ok_or("its weights are computed")?;
    let &[outputs, inputs, rows, columns] = shape.as_slice() else {
        return Err(format!("weights have the shape {shape:?}"));
    };
    let bias = match node.input(2) {
        Some(name) => lower.floats(name).ok_or("its bias is computed")?.1,
        None => vec![0.0; outputs],
    };
    let from = lower.input(node, 0)?;
    let &[1, channels, height, width] = from.sides.as_slice() else {
        return Err(format!("it takes {:?}, not one map", from.sides));
    };
    let groups = usize::try_from(node.int("group", 1)).unwrap_or(0);
    if groups == 0
        || inputs * groups != channels
        || !outputs.is_multiple_of(groups)
        || weights.len() != outputs * inputs * rows * columns
    {
        return Err(format!("weights {shape:?} in {groups} groups do not fit {channels} channels"));
    }
    let mut said = node.clone();
    if node.ints("kernel_shape").is_none() {
        said = said.with_ints("kernel_shape", &[rows as i64, columns as i64]);
    }
    let window = window_of(&said, [height, width])?;
    if window.kernel != [rows, columns] {
        return Err("the kernel's shape is not that of its weights".into());
    }
    let [h, w] = sides_of(&said, &window, [height, width])?;
    let name = node.output(0).ok_or("it has no output")?;
    let depthwise = groups > 1 && inputs == 1 && outputs == groups;
    let border = window.border([channels, height, width], [outputs, h, w], depthwise);
    let border = border.map(|[down, across]| down.max(across));
    let focus = node.input(0).filter(|_| groups == 1).and_then(|name| picture(lower, name, &window));
    let (map, window, weights) = match focus {
        Some((root, wide, focus)) => {
            let channels = root.sides[1];
            let border = wide.border([channels, root.sides[2], root.sides[3]], [outputs, h, w], false);
            let map = lower.map(&root, border.map(|[down, across]| down.max(across)))?;
            (map, wide, focus.weights(&weights, channels, window.kernel))
        }
        None => (lower.map(&from, border)?, window, weights),
    };
    let sides = [1, outputs, h, w];
    let tail = tail(lower, at, name, &sides);
    let to = lower.place(&tail.name, &sides)?;
    let epilogue = finish(lower, &tail)?;
    let target = to.map().ok_or("its output is no map")?;
    let step = |from: Map, to: Map, epilogue: Epilogue, weights: Vec<f32>, bias: Vec<f32>| Draft::Conv {
        from,
        to,
        window,
        epilogue,
        weights,
        bias,
        depthwise,
    };
    if groups == 1 || depthwise {
        lower.builder.step(step(map, target, epilogue, weights, bias));
    } else {
        let (own, size) = (outputs / groups, outputs / groups * inputs * rows * columns);
        for group in 0..groups {
            let part = |map: Map, channels: usize| map.part(group * channels, channels);
            let epilogue = Epilogue { add: epilogue.add.map(|add| part(add, own)), ..epilogue };
            let (weights, bias) = (weights[group * size..][..size].to_vec(), bias[group * own..][..own].to_vec());
            lower.builder.step(step(part(map, inputs), part(target, own), epilogue, weights, bias));
        }
    }
    lower.values.insert(tail.name.clone(), to);
    lower.taken.extend(tail.nodes);
    Ok(())
}

/// The picture, if a value is made of its even and odd rows and columns on top of each other, and a window on it.
pub fn picture(lower: &Lower, name: &str, window: &Window) -> Option<(View, Window, Focus)> {
    let focus = Focus::of(lower.model, lower.index, name)?;
    let wide = Focus::window(window)?;
    let root = lower.values.get(&focus.root)?.clone();
    (root.sides.len() == 4 && root.sides[0] == 1).then_some((root, wide, focus))
}

/// The epilogue of a tail.
pub fn finish(lower: &mut Lower, tail: &Tail) -> Result<Epilogue, Reason> {
    let add = match &tail.add {
        Some(name) => {
            let view = lower.view(name)?;
            Some(lower.map(&view, [0; 2])?)
        }
        None => None,
    };
    Ok(Epilogue { act: tail.act, add, then: tail.then })
}

/// A transposed convolution, as one convolution for each phase of the stride.
pub fn transposed(lower: &mut Lower, at: usize) -> Result<(), Reason> {
    let node = lower.node(at);
    let (shape, weights) = node.input(1).and_then(|name| lower.floats(name)).ok_or("its weights are computed")?;
    let &[inputs, outputs, rows, columns] = shape.as_slice() else {
        return Err(format!("weights have the shape {shape:?}"));
    };
    let bias = match node.input(2) {
        Some(name) => lower.floats(name).ok_or("its bias is computed")?.1,
        None => vec![0.0; outputs],
    };
    let plain = node.int("group", 1) == 1
        && matches!(node.text("auto_pad").as_str(), "" | "NOTSET")
        && node.attribute("output_shape").is_none();
    if !plain || node.ints("dilations").is_some_and(|d| d.iter().any(|d| *d != 1)) {
        return Err("groups, dilations and automatic padding stay with tract".into());
    }
    let from = lower.input(node, 0)?;
    let &[1, channels, height, width] = from.sides.as_slice() else {
        return Err(format!("it takes {:?}, not one map", from.sides));
    };
    let numbers = |name: &str, default: i64, count: usize| -> Result<Vec<usize>, Reason> {
        let given = node.ints(name).map_or_else(|| vec![default; count], <[i64]>::to_vec);
        let all: Option<Vec<usize>> = given.iter().map(|v| usize::try_from(*v).ok()).collect();
        all.filter(|all| all.len() == count).ok_or_else(|| format!("{name} are {given:?}"))
    };
    let (stride, pads, more) = (numbers("strides", 1, 2)?, numbers("pads", 0, 4)?, numbers("output_padding", 0, 2)?);
    if channels != inputs || stride.contains(&0) {
        return Err(format!("weights {shape:?} do not fit {channels} channels"));
    }
    let kernel = [rows, columns];
    let side = |axis: usize, from: usize| {
        ((from - 1) * stride[axis] + kernel[axis] + more[axis]).checked_sub(pads[axis] + pads[axis + 2])
    };
    let (Some(h @ 1..), Some(w @ 1..)) = (side(0, height), side(1, width)) else {
        return Err("nothing is left of it".into());
    };
    let sides = [1, outputs, h, w];
    let name = node.output(0).ok_or("it has no output")?;
    let tail = tail(lower, at, name, &sides);
    if tail.add.is_some() {
        return Err("a sum behind it stays with tract".into());
    }
    let to = lower.place(&tail.name, &sides)?;
    let whole = to.map().ok_or("its output is no map")?;
    // Of one axis: the taps of a phase, in the order of the input, and how far its windows begin before the map.
    let phase = |axis: usize, out: usize| -> (Vec<usize>, isize) {
        let at = out + pads[axis];
        let taps: Vec<usize> = (0..kernel[axis]).filter(|tap| at % stride[axis] == tap % stride[axis]).rev().collect();
        let first = taps.first().map_or(0, |tap| (at as isize - *tap as isize).div_euclid(stride[axis] as isize));
        (taps, first)
    };
    for down in 0..stride[0].min(h) {
        for across in 0..stride[1].min(w) {
            let ((taps_y, y), (taps_x, x)) = (phase(0, down), phase(1, across));
            if taps_y.is_empty() || taps_x.is_empty() {
                return Err("strides larger than the kernel stay with tract".into());
            }
            let map = Map {
                offset: whole.offset + down * whole.row + across * whole.pixel,
                height: (h - down).div_ceil(stride[0]),
                width: (w - across).div_ceil(stride[1]),
                row: whole.row * stride[0],
                pixel: whole.pixel * stride[1],
                ..whole
            };
            let mut part = Vec::with_capacity(outputs * inputs * taps_y.len() * taps_x.len());
            for output in 0..outputs {
                for input in 0..inputs {
                    for ky in &taps_y {
                        part.extend(
                            taps_x.iter().map(|kx| weights[((input * outputs + output) * rows + ky) * columns + kx]),
                        );
                    }
                }
            }
            // Windows that begin inside the map skip its first rows: a view cannot, so they begin before with a tap of 0.
            let (before_y, before_x) = (usize::try_from(-y), usize::try_from(-x));
            let (Ok(before_y), Ok(before_x)) = (before_y, before_x) else {
                return Err("its padding stays with tract".into());
            };
            let window = Window {
                kernel: [taps_y.len(), taps_x.len()],
                stride: [1; 2],
                dilation: [1; 2],
                before: [before_y, before_x],
            };
            let border = window.border([channels, height, width], [outputs, map.height, map.width], false);
            let source = lower.map(&from, border.map(|[a, b]| a.max(b)))?;
            let epilogue = Epilogue::act(tail.act);
            let (weights, bias) = (part, bias.clone());
            lower.builder.step(Draft::Conv {
                from: source,
                to: map,
                window,
                epilogue,
                weights,
                bias,
                depthwise: false,
            });
        }
    }
    lower.values.insert(tail.name.clone(), to);
    lower.taken.extend(tail.nodes);
    Ok(())
}

/// Rows of `inputs` values times a matrix of weights, as a convolution of one pixel.
fn product(
    lower: &mut Lower,
    at: usize,
    from: &View,
    sides: &[usize],
    weights: Vec<f32>,
    bias: Vec<f32>,
) -> Result<(), Reason> {
    let name = lower.node(at).output(0).ok_or("it has no output")?.to_owned();
    let inputs = *from.sides.last().ok_or("a scalar")?;
    let rows = from.volume() / inputs;
    let list = lower.reshape(from, &[1, 1, rows, inputs])?.transpose(&[0, 3, 1, 2]);
    let map = lower.map(&list, [0; 2])?;
    let outputs = bias.len();
    // A map that reshapes to the product's sides.
    let to = lower.builder.list(&[1, 1, rows, outputs]).transpose(&[0, 3, 1, 2]);
    let target = to.map().ok_or("its output is no map")?;
    let tail = tail(lower, at, &name, sides);
    if tail.add.is_some() {
        return Err("a sum behind it stays with tract".into());
    }
    let (window, epilogue) = (Window::POINT, Epilogue::act(tail.act));
    lower.builder.step(Draft::Conv { from: map, to: target, window, epilogue, weights, bias, depthwise: false });
    let result = lower.reshape(&to.transpose(&[0, 2, 3, 1]), sides)?;
    lower.values.insert(tail.name.clone(), result);
    lower.taken.extend(tail.nodes);
    Ok(())
}

/// A fully connected layer.
pub fn gemm(lower: &mut Lower, at: usize) -> Result<(), Reason> {
    let node = lower.node(at);
    let (shape, weights) = node.input(1).and_then(|name| lower.floats(name)).ok_or("its weights are computed")?;
    let from = lower.input(node, 0)?;
    let (&[a, b], &[rows, inputs]) = (shape.as_slice(), from.sides.as_slice()) else {
        return Err("its operands are no matrices".into());
    };
    let turned = node.int("transB", 0) == 1;
    let (outputs, length) = if turned { (a, b) } else { (b, a) };
    if node.int("transA", 0) != 0 || length != inputs {
        return Err("it takes its input turned".into());
    }
    let alpha = node.float("alpha", 1.0);
    let at_weight =
        |output: usize, input: usize| if turned { output * length + input } else { input * outputs + output };
    let ordered: Vec<f32> =
        (0..outputs * inputs).map(|at| alpha * weights[at_weight(at / inputs, at % inputs)]).collect();
    let beta = node.float("beta", 1.0);
    let bias = match node.input(2) {
        None => vec![0.0; outputs],
        Some(name) => {
            let bias = lower.floats(name).ok_or("its bias is computed")?.1;
            match bias.len() {
                1 => vec![beta * bias[0]; outputs],
                n if n == outputs => bias.iter().map(|value| beta * value).collect(),
                _ => return Err("its bias has other sides".into()),
            }
        }
    };
    product(lower, at, &from, &[rows, outputs], ordered, bias)
}

/// A product with a matrix of weights.
pub fn matmul(lower: &mut Lower, at: usize) -> Result<(), Reason> {
    let node = lower.node(at);
    let (shape, weights) = node.input(1).and_then(|name| lower.floats(name)).ok_or("both factors are computed")?;
    let from = lower.input(node, 0)?;
    let (&[length, outputs], Some((&inputs, rest))) = (shape.as_slice(), from.sides.split_last()) else {
        return Err("its weights are no matrix".into());
    };
    if inputs != length || rest.is_empty() {
        return Err("its factors do not fit".into());
    }
    let ordered: Vec<f32> = (0..outputs * inputs).map(|at| weights[at % inputs * outputs + at / inputs]).collect();
    let sides: Vec<usize> = rest.iter().copied().chain([outputs]).collect();
    product(lower, at, &from, &sides, ordered, vec![0.0; outputs])
}
