//! Tensors of a file: what they claim, and their data.

use super::pb::{AttributeProto, NodeProto, TensorProto, ValueInfoProto};
use crate::error::{Error, Result};
use bytes::Bytes;
use prost::Message;

/// `TensorProto.DataType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataType {
    /// 32-bit floats.
    F32,
    /// Bytes 0–255.
    U8,
    /// Bytes −128–127.
    I8,
    /// 0–65535.
    U16,
    /// −32768–32767.
    I16,
    /// 32-bit integers.
    I32,
    /// 64-bit integers.
    I64,
    /// 64-bit floats.
    F64,
    /// 0–15, two in a byte.
    U4,
    /// −8–7, two in a byte.
    I4,
    /// Any other, by its number in `onnx.proto`.
    Other(i32),
}

impl DataType {
    /// From the number in `onnx.proto`.
    #[must_use]
    pub const fn of(number: i32) -> Self {
        match number {
            1 => Self::F32,
            2 => Self::U8,
            3 => Self::I8,
            4 => Self::U16,
            5 => Self::I16,
            6 => Self::I32,
            7 => Self::I64,
            11 => Self::F64,
            21 => Self::U4,
            22 => Self::I4,
            other => Self::Other(other),
        }
    }

    /// The number in `onnx.proto`.
    #[must_use]
    pub const fn number(self) -> i32 {
        match self {
            Self::F32 => 1,
            Self::U8 => 2,
            Self::I8 => 3,
            Self::U16 => 4,
            Self::I16 => 5,
            Self::I32 => 6,
            Self::I64 => 7,
            Self::F64 => 11,
            Self::U4 => 21,
            Self::I4 => 22,
            Self::Other(other) => other,
        }
    }
}

/// Bytes per element in `raw_data`; `None` for text and for types that pack several elements into a byte.
fn width(data_type: i32) -> Option<usize> {
    match data_type {
        2 | 3 | 9 | 17..=20 => Some(1),
        4 | 5 | 10 | 16 => Some(2),
        1 | 6 | 12 => Some(4),
        7 | 11 | 13 | 14 => Some(8),
        15 => Some(16),
        _ => None,
    }
}

impl TensorProto {
    /// Its name; empty if it has none.
    #[must_use]
    pub fn label(&self) -> &str {
        self.name.as_deref().unwrap_or_default()
    }

    /// Its type.
    #[must_use]
    pub fn kind(&self) -> DataType {
        DataType::of(self.data_type.unwrap_or_default())
    }

    /// Its dimensions.
    #[must_use]
    pub fn shape(&self) -> Vec<usize> {
        self.dims.iter().map(|&d| usize::try_from(d).unwrap_or(0)).collect()
    }

    /// The number of elements that the dimensions claim; `None` if it is absurd.
    #[must_use]
    pub fn volume(&self) -> Option<usize> {
        let sides = self.dims.iter().map(|&d| usize::try_from(d).ok());
        sides.into_iter().try_fold(1_usize, |sum, side| sum.checked_mul(side?)).filter(|v| *v <= 1 << 31)
    }

    /// Whether its data is in another file.
    #[must_use]
    pub fn is_external(&self) -> bool {
        self.data_location == Some(1)
    }

    /// Refuses a tensor whose dimensions and data disagree: dimensions can claim anything, but only the data is there.
    ///
    /// # Errors
    /// Returns what is claimed and what is there.
    pub fn check(&self) -> Result<(), String> {
        let name = self.label();
        let Some(volume) = self.volume() else {
            return Err(format!("tensor `{name}` claims absurd dimensions {:?}", self.dims));
        };
        if self.is_external() {
            return Ok(());
        }
        let kind = self.data_type.unwrap_or_default();
        if let (Some(raw), Some(width)) = (&self.raw_data, width(kind)) {
            if raw.len() != volume * width {
                return Err(format!(
                    "tensor `{name}` {:?} needs {} bytes, has {}",
                    self.dims,
                    volume * width,
                    raw.len()
                ));
            }
        } else if self.raw_data.is_none() {
            let counts = [
                self.float_data.len(),
                self.int32_data.len(),
                self.int64_data.len(),
                self.double_data.len(),
                self.uint64_data.len(),
                self.string_data.len(),
            ];
            let held: usize = counts.iter().sum();
            // Complex numbers take two fields per element, four-bit numbers half a field.
            let packed = width(kind).is_none() || matches!(kind, 14 | 15);
            if held != volume && !packed {
                return Err(format!("tensor `{name}` {:?} needs {volume} numbers, has {held}", self.dims));
            }
        }
        Ok(())
    }

    /// Its numbers as floats.
    ///
    /// # Errors
    /// [`Error::Model`] for types that we cannot read as numbers.
    pub fn floats(&self) -> Result<Vec<f32>> {
        match (self.kind(), &self.raw_data) {
            (DataType::F32, Some(raw)) => Ok(raw.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect()),
            (DataType::F32, None) => Ok(self.float_data.clone()),
            (DataType::F64, Some(raw)) => {
                Ok(raw.as_chunks::<8>().0.iter().map(|b| f64::from_le_bytes(*b) as f32).collect())
            }
            (DataType::F64, None) => Ok(self.double_data.iter().map(|&v| v as f32).collect()),
            _ => Ok(self.ints()?.into_iter().map(|v| v as f32).collect()),
        }
    }

    /// Its numbers as integers.
    ///
    /// # Errors
    /// [`Error::Model`] for types other than integers of 4 to 64 bits.
    pub fn ints(&self) -> Result<Vec<i64>> {
        let wide = |data: &[i32]| data.iter().map(|&v| i64::from(v)).collect();
        match (self.kind(), &self.raw_data) {
            (DataType::U8, Some(raw)) => Ok(raw.iter().map(|&b| i64::from(b)).collect()),
            (DataType::I8, Some(raw)) => Ok(raw.iter().map(|&b| i64::from(b.cast_signed())).collect()),
            (DataType::I32, Some(raw)) => {
                Ok(raw.as_chunks::<4>().0.iter().map(|b| i64::from(i32::from_le_bytes(*b))).collect())
            }
            (DataType::I64, Some(raw)) => Ok(raw.as_chunks::<8>().0.iter().map(|b| i64::from_le_bytes(*b)).collect()),
            (DataType::U16, Some(raw)) => {
                Ok(raw.as_chunks::<2>().0.iter().map(|b| i64::from(u16::from_le_bytes(*b))).collect())
            }
            (DataType::I16, Some(raw)) => {
                Ok(raw.as_chunks::<2>().0.iter().map(|b| i64::from(i16::from_le_bytes(*b))).collect())
            }
            (DataType::U8 | DataType::I8 | DataType::U16 | DataType::I16 | DataType::I32, None) => {
                Ok(wide(&self.int32_data))
            }
            (DataType::I64, None) => Ok(self.int64_data.clone()),
            (kind @ (DataType::U4 | DataType::I4), raw) => {
                let fields = || self.int32_data.iter().map(|&field| field as u8).collect();
                let bytes: Vec<u8> = raw.as_ref().map_or_else(fields, |raw| raw.to_vec());
                let count = self.volume().unwrap_or(0);
                if bytes.len() != count.div_ceil(2) {
                    let (name, held) = (self.label(), bytes.len());
                    return Err(Error::Model(format!("tensor `{name}` of {count} 4-bit numbers has {held} bytes")));
                }
                // The first of a pair is in the lower half.
                let pair = |byte: u8| [byte & 15, byte >> 4].map(i64::from);
                let signed = |level: i64| if kind == DataType::I4 && level > 7 { level - 16 } else { level };
                Ok(bytes.into_iter().flat_map(pair).take(count).map(signed).collect())
            }
            (other, _) => Err(Error::Model(format!("tensor `{}` holds {other:?}", self.label()))),
        }
    }

    /// Creates a tensor of floats.
    #[must_use]
    pub fn of_f32(name: &str, shape: &[usize], values: &[f32]) -> Self {
        let raw: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        Self::of(name, DataType::F32, shape, raw)
    }

    /// Creates a tensor of 64-bit integers.
    #[must_use]
    pub fn of_i64(name: &str, shape: &[usize], values: &[i64]) -> Self {
        let raw: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        Self::of(name, DataType::I64, shape, raw)
    }

    /// Creates a tensor of any type from its little-endian bytes.
    #[must_use]
    pub fn of(name: &str, kind: DataType, shape: &[usize], raw: Vec<u8>) -> Self {
        Self {
            name: Some(name.to_owned()),
            data_type: Some(kind.number()),
            dims: shape.iter().map(|&d| d as i64).collect(),
            raw_data: Some(Bytes::from(raw)),
            ..Self::default()
        }
    }
}

impl NodeProto {
    /// Creates a node with a standard operator.
    #[must_use]
    pub fn of(op: &str, name: &str, inputs: &[&str], outputs: &[&str]) -> Self {
        let owned = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
        Self {
            op_type: Some(op.to_owned()),
            name: Some(name.to_owned()),
            input: owned(inputs),
            output: owned(outputs),
            ..Self::default()
        }
    }

    /// Adds an attribute of integers.
    #[must_use]
    pub fn with_ints(mut self, name: &str, values: &[i64]) -> Self {
        let ints = values.to_vec();
        self.attribute.push(AttributeProto { name: Some(name.into()), r#type: Some(7), ints, ..Default::default() });
        self
    }

    /// Adds an attribute of one integer.
    #[must_use]
    pub fn with_int(mut self, name: &str, value: i64) -> Self {
        let i = Some(value);
        self.attribute.push(AttributeProto { name: Some(name.into()), r#type: Some(2), i, ..Default::default() });
        self
    }

    /// Its operator, such as `Conv`; empty if it has none.
    #[must_use]
    pub fn op(&self) -> &str {
        self.op_type.as_deref().unwrap_or_default()
    }

    /// Its input number `index`; `None` if it is omitted.
    #[must_use]
    pub fn input(&self, index: usize) -> Option<&str> {
        self.input.get(index).map(String::as_str).filter(|name| !name.is_empty())
    }

    /// Its output number `index`; `None` if it is omitted.
    #[must_use]
    pub fn output(&self, index: usize) -> Option<&str> {
        self.output.get(index).map(String::as_str).filter(|name| !name.is_empty())
    }

    /// An attribute by its name.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&AttributeProto> {
        self.attribute.iter().find(|a| a.name.as_deref() == Some(name))
    }

    /// An attribute of integers; `None` if it is not there.
    #[must_use]
    pub fn ints(&self, name: &str) -> Option<&[i64]> {
        self.attribute(name).map(|a| a.ints.as_slice())
    }

    /// An attribute of one integer, or `default` if it is not there.
    #[must_use]
    pub fn int(&self, name: &str, default: i64) -> i64 {
        self.attribute(name).and_then(|a| a.i).unwrap_or(default)
    }

    /// An attribute of one float, or `default` if it is not there.
    #[must_use]
    pub fn float(&self, name: &str, default: f32) -> f32 {
        self.attribute(name).and_then(|a| a.f).unwrap_or(default)
    }

    /// An attribute of text; empty if it is not there.
    #[must_use]
    pub fn text(&self, name: &str) -> String {
        let bytes = self.attribute(name).and_then(|a| a.s.as_deref()).unwrap_or_default();
        String::from_utf8_lossy(bytes).into_owned()
    }
}

/// `TypeProto` with its `tensor_type` (1): element type (1) and shape (2); other kinds of values have none.
#[derive(Clone, PartialEq, Message)]
struct TypeProto {
    #[prost(message, optional, tag = "1")]
    tensor: Option<TensorType>,
}

#[derive(Clone, PartialEq, Message)]
struct TensorType {
    #[prost(int32, optional, tag = "1")]
    element: Option<i32>,
    #[prost(message, optional, tag = "2")]
    shape: Option<TensorShape>,
}

#[derive(Clone, PartialEq, Message)]
struct TensorShape {
    #[prost(message, repeated, tag = "1")]
    dims: Vec<Dimension>,
}

#[derive(Clone, PartialEq, Message)]
struct Dimension {
    #[prost(int64, optional, tag = "1")]
    value: Option<i64>,
    #[prost(string, optional, tag = "2")]
    name: Option<String>,
}

impl ValueInfoProto {
    /// Its name; empty if it has none.
    #[must_use]
    pub fn label(&self) -> &str {
        self.name.as_deref().unwrap_or_default()
    }

    /// Creates a value with a type and a shape; a dimension of `None` is open.
    #[must_use]
    pub fn of(name: &str, kind: DataType, shape: Option<&[Option<usize>]>) -> Self {
        let dimension = |d: &Option<usize>| Dimension { value: d.map(|d| d as i64), name: None };
        let shape = shape.map(|shape| TensorShape { dims: shape.iter().map(dimension).collect() });
        let tensor = Some(TensorType { element: Some(kind.number()), shape });
        Self { name: Some(name.to_owned()), r#type: Some(TypeProto { tensor }.encode_to_vec()), ..Self::default() }
    }
}

/// Element type and shape of a graph's input or output; a dimension of `None` is open, and so is a missing shape.
#[must_use]
pub fn element_type(value: &ValueInfoProto) -> Option<(DataType, Option<Vec<Option<usize>>>)> {
    let tensor = TypeProto::decode(value.r#type.as_deref()?).ok()?.tensor?;
    let side = |d: Dimension| d.value.and_then(|v| usize::try_from(v).ok()).filter(|v| *v > 0);
    let shape = tensor.shape.map(|shape| shape.dims.into_iter().map(side).collect());
    Some((DataType::of(tensor.element?), shape))
}
