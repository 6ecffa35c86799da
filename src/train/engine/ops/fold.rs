//! Numbers about shapes that a graph computes: exporters write them where the size of the picture or of the batch is open. The
//! net knows all shapes when it is built, so they are worked out then.

use super::graph::Values;
use crate::onnx::NodeProto;

/// The whole numbers that a node gives, if they follow from shapes and constants.
pub fn fold(node: &NodeProto, values: &Values<'_>, shape: &dyn Fn(&str) -> Option<Vec<usize>>) -> Option<Vec<i64>> {
    let ints = |at: usize| values.ints(node.input(at));
    let place = |at: i64, len: usize| usize::try_from(if at < 0 { at + len as i64 } else { at }).ok();
    match node.op() {
        "Shape" => {
            let sides = shape(node.input(0)?)?;
            let end = node.int("end", sides.len() as i64);
            let (from, to) = (place(node.int("start", 0), sides.len())?, place(end, sides.len())?);
            Some(sides.get(from..to.min(sides.len()))?.iter().map(|side| *side as i64).collect())
        }
        "Gather" => {
            let all = ints(0)?;
            ints(1)?.into_iter().map(|at| all.get(place(at, all.len())?).copied()).collect()
        }
        "Slice" => {
            let all = ints(0)?;
            let [from, to] = [ints(1)?, ints(2)?].map(|list| list.first().copied());
            if ints(4).is_some_and(|steps| steps != [1]) {
                return None;
            }
            let clamped = |at: i64| place(at.clamp(-(all.len() as i64), all.len() as i64), all.len());
            Some(all.get(clamped(from?)?..clamped(to?)?)?.to_vec())
        }
        "Concat" => {
            let parts: Option<Vec<Vec<i64>>> = (0..node.input.len()).map(ints).collect();
            Some(parts?.concat())
        }
        "Unsqueeze" | "Squeeze" | "Cast" | "Identity" => ints(0),
        "Add" | "Sub" | "Mul" | "Div" => {
            let (a, b) = (ints(0)?, ints(1)?);
            let len = a.len().max(b.len());
            let side = |list: &[i64], at: usize| if list.len() == 1 { Some(list[0]) } else { list.get(at).copied() };
            let one = |at: usize| {
                let (a, b) = (side(&a, at)?, side(&b, at)?);
                match node.op() {
                    "Add" => a.checked_add(b),
                    "Sub" => a.checked_sub(b),
                    "Mul" => a.checked_mul(b),
                    _ => a.checked_div(b),
                }
            };
            (0..len).map(one).collect()
        }
        _ => None,
    }
}
