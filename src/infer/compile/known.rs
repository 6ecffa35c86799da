//! Small numbers that are known before anything runs: sizes that a graph computes from shapes, bounds, scales.

use crate::onnx::{DataType, NodeProto, TensorProto};

/// Numbers above this count are weights, not sizes.
const MOST: usize = 4096;

/// Why a node stays with tract.
pub type Reason = String;

/// A known tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct Known {
    pub sides: Vec<usize>,
    pub values: Vec<f64>,
    /// Whether they are integers: quotients are cut.
    pub whole: bool,
}

impl Known {
    /// A small weight.
    #[must_use]
    pub fn of(tensor: &TensorProto) -> Option<Self> {
        tensor.volume().filter(|volume| *volume <= MOST)?;
        let float = matches!(tensor.kind(), DataType::F32 | DataType::F64);
        let values = match float {
            true => tensor.floats().ok()?.into_iter().map(f64::from).collect(),
            false => tensor.ints().ok()?.into_iter().map(|value| value as f64).collect(),
        };
        Some(Self { sides: tensor.shape(), values, whole: !float })
    }

    /// As integers.
    #[must_use]
    pub fn ints(&self) -> Vec<i64> {
        self.values.iter().map(|value| *value as i64).collect()
    }
}

/// The result of an operator on known numbers; `shape` is the shape of the first input, where that is known.
#[must_use]
pub fn fold(node: &NodeProto, inputs: &[Option<&Known>], shape: Option<&[usize]>) -> Option<Known> {
    let whole = |values: Vec<f64>| Known { sides: vec![values.len()], values, whole: true };
    if node.op() == "Shape" {
        let shape = shape?;
        let end = |name: &str, default: i64| {
            let at = node.int(name, default);
            (if at < 0 { at + shape.len() as i64 } else { at }).clamp(0, shape.len() as i64) as usize
        };
        let (start, end) = (end("start", 0), end("end", shape.len() as i64));
        return Some(whole(shape.get(start..end)?.iter().map(|side| *side as f64).collect()));
    }
    let first = (*inputs.first()?)?;
    let second = || inputs.get(1).copied().flatten();
    let same = |values: Vec<f64>| Some(Known { values, ..first.clone() });
    match node.op() {
        "Identity" => Some(first.clone()),
        "Cast" => {
            let whole = !matches!(node.int("to", 1), 1 | 10 | 11);
            let cut = |value: &f64| if whole { value.trunc() } else { *value };
            Some(Known { values: first.values.iter().map(cut).collect(), whole, ..first.clone() })
        }
        "Floor" => same(first.values.iter().map(|value| value.floor()).collect()),
        "Ceil" => same(first.values.iter().map(|value| value.ceil()).collect()),
        "Unsqueeze" | "Squeeze" | "Reshape" => {
            // Only what has one side or none comes this way.
            let scalar = node.op() == "Squeeze" && first.values.len() == 1;
            Some(Known { sides: if scalar { Vec::new() } else { vec![first.values.len()] }, ..first.clone() })
        }
        "Gather" => {
            let at = second()?;
            let length = first.values.len() as i64;
            let pick =
                |index: i64| first.values.get(usize::try_from(if index < 0 { index + length } else { index }).ok()?);
            let values: Option<Vec<f64>> = at.ints().into_iter().map(|index| pick(index).copied()).collect();
            (first.sides.len() == 1).then_some(())?;
            Some(Known { sides: at.sides.clone(), values: values?, whole: first.whole })
        }
        "Concat" => {
            let all: Option<Vec<&Known>> = inputs.iter().copied().collect();
            Some(whole(all?.into_iter().flat_map(|known| known.values.iter().copied()).collect()))
                .map(|known| Known { whole: first.whole, ..known })
        }
        "Slice" => {
            (first.sides.len() == 1 && node.input.len() >= 3).then_some(())?;
            let number = |at: usize, default: i64| match inputs.get(at) {
                Some(Some(known)) => known.ints().first().copied(),
                _ if node.input(at).is_none() => Some(default),
                _ => None,
            };
            let length = first.values.len() as i64;
            let inside = |at: i64| (if at < 0 { at + length } else { at }).clamp(0, length) as usize;
            let (start, end) = (inside(number(1, 0)?), inside(number(2, length)?));
            (number(4, 1)? == 1).then_some(())?;
            let values = first.values.get(start..end.max(start))?.to_vec();
            Some(Known { sides: vec![values.len()], values, whole: first.whole })
        }
        "Add" | "Sub" | "Mul" | "Div" => {
            let other = second()?;
            let whole = first.whole && other.whole;
            let count = first.values.len().max(other.values.len());
            let of = |known: &Known, at: usize| known.values.get(if known.values.len() == 1 { 0 } else { at }).copied();
            let one = |at: usize| {
                let (a, b) = (of(first, at)?, of(other, at)?);
                Some(match node.op() {
                    "Add" => a + b,
                    "Sub" => a - b,
                    "Mul" => a * b,
                    _ if whole => (a / b).trunc(),
                    // As a graph of 32-bit floats does it.
                    _ => f64::from(a as f32 / b as f32),
                })
            };
            let values: Option<Vec<f64>> = (0..count).map(one).collect();
            let sides = if first.values.len() >= other.values.len() { &first.sides } else { &other.sides };
            Some(Known { sides: sides.clone(), values: values?, whole })
        }
        _ => None,
    }
}

/// Exactly `N` numbers of at least `least`.
#[must_use]
pub fn sizes<const N: usize>(values: &[i64], least: usize) -> Option<[usize; N]> {
    let sizes: Option<Vec<usize>> = values.iter().map(|v| usize::try_from(*v).ok().filter(|v| *v >= least)).collect();
    sizes?.try_into().ok()
}
