//! Inputs that are the same for every picture become weights.

use super::TensorProto;
use super::graph::Model;
use super::pb::ValueInfoProto;
use super::tensor::{DataType, element_type};
use crate::error::{Error, Result};

impl Model {
    /// Gives the input `name` these values for good: it is no input any more.
    ///
    /// # Errors
    /// [`Error::Model`] if there is no such input, or it takes another number of values.
    pub fn fix_input(&mut self, name: &str, values: &[f64]) -> Result<()> {
        let all: Vec<&str> = self.inputs().map(ValueInfoProto::label).collect();
        let unknown = || {
            let all = all.join(", ");
            Error::Model(format!("the card gives the input `{name}` a constant; the graph has the inputs {all}"))
        };
        let at = self.graph().input.iter().position(|input| input.label() == name).ok_or_else(unknown)?;
        if !all.contains(&name) {
            return Err(unknown());
        }
        let (kind, shape) = element_type(&self.graph().input[at]).unwrap_or((DataType::F32, None));
        let shape = filled(shape.as_deref(), values.len()).ok_or_else(|| {
            let shown = shape.unwrap_or_default();
            let shown: Vec<String> = shown.iter().map(|d| d.map_or("?".into(), |d| d.to_string())).collect();
            let count = values.len();
            Error::Model(format!("the card gives the input `{name}` {count} values; it takes [{}]", shown.join(", ")))
        })?;
        let tensor = tensor(name, kind, &shape, values).ok_or_else(|| {
            Error::Model(format!("the input `{name}` holds {kind:?}, for which a card cannot give constants"))
        })?;
        let graph = self.graph_mut();
        graph.input.remove(at);
        graph.initializer.push(tensor);
        Ok(())
    }
}

/// The shape for this number of values: open sides are 1, but the last open one takes what is left.
fn filled(shape: Option<&[Option<usize>]>, count: usize) -> Option<Vec<usize>> {
    let Some(shape) = shape else { return Some(if count == 1 { Vec::new() } else { vec![count] }) };
    let known = shape.iter().flatten().try_fold(1_usize, |all, side| all.checked_mul(*side))?;
    let open = shape.iter().rposition(Option::is_none);
    let rest = count.checked_div(known).filter(|rest| rest * known == count)?;
    if open.is_none() && rest != 1 {
        return None;
    }
    Some(shape.iter().enumerate().map(|(at, side)| side.unwrap_or(if Some(at) == open { rest } else { 1 })).collect())
}

fn tensor(name: &str, kind: DataType, shape: &[usize], values: &[f64]) -> Option<TensorProto> {
    let raw: Vec<u8> = match kind {
        DataType::F32 => values.iter().flat_map(|v| (*v as f32).to_le_bytes()).collect(),
        DataType::F64 => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        DataType::I64 => values.iter().flat_map(|v| (*v as i64).to_le_bytes()).collect(),
        DataType::I32 => values.iter().flat_map(|v| (*v as i32).to_le_bytes()).collect(),
        DataType::U8 => values.iter().map(|v| *v as u8).collect(),
        DataType::I8 => values.iter().map(|v| (*v as i8).cast_unsigned()).collect(),
        DataType::U16 => values.iter().flat_map(|v| (*v as u16).to_le_bytes()).collect(),
        DataType::I16 => values.iter().flat_map(|v| (*v as i16).to_le_bytes()).collect(),
        // A truth value.
        DataType::Other(9) => values.iter().map(|v| u8::from(*v != 0.0)).collect(),
        DataType::U4 | DataType::I4 | DataType::Other(_) => return None,
    };
    Some(TensorProto::of(name, kind, shape, raw))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_sides_take_what_is_left() {
        assert_eq!(filled(Some(&[Some(1), Some(2)]), 2), Some(vec![1, 2]));
        assert_eq!(filled(Some(&[None, Some(2)]), 2), Some(vec![1, 2]));
        assert_eq!(filled(Some(&[None, None]), 2), Some(vec![1, 2]));
        assert_eq!(filled(Some(&[]), 1), Some(vec![]));
        assert_eq!(filled(Some(&[Some(1), Some(2)]), 3), None);
        assert_eq!(filled(Some(&[Some(0)]), 1), None);
        assert_eq!(filled(None, 1), Some(vec![]));
    }
}
