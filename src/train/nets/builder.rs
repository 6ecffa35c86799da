//! Makes graphs, layer by layer, with weights to begin training from.

use crate::onnx::pb::{AttributeProto, GraphProto, ModelProto, OperatorSetId, ValueInfoProto};
use crate::onnx::{DataType, Model, NodeProto, TensorProto};
use crate::train::random::Random;
use crate::types::Size;

/// The purpose of random numbers here.
const WEIGHTS: u64 = 4;

/// The version of the operators, and of the file format that came with it.
const OPSET: i64 = 17;
const IR: i64 = 8;

/// A value in the graph: its name and its channels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    name: String,
    /// How many channels it has.
    pub channels: usize,
}

/// A graph that grows.
pub struct Builder {
    nodes: Vec<NodeProto>,
    weights: Vec<TensorProto>,
    seed: u64,
    size: Size,
}

/// A convolution.
#[derive(Clone, Copy, Debug)]
pub struct Conv {
    /// Channels of the result.
    pub channels: usize,
    /// Side of the window.
    pub window: usize,
    /// Pixels from one window to the next.
    pub stride: usize,
    /// Groups of channels that do not mix.
    pub groups: usize,
}

impl Conv {
    /// One with a square window.
    #[must_use]
    pub const fn new(channels: usize, window: usize, stride: usize) -> Self {
        Self { channels, window, stride, groups: 1 }
    }
}

impl Builder {
    /// Begins a graph that takes pictures `[1, 3, H, W]` of this size.
    #[must_use]
    pub const fn new(size: Size, seed: u64) -> Self {
        Self { nodes: Vec::new(), weights: Vec::new(), seed, size }
    }

    /// The picture.
    #[must_use]
    pub fn picture() -> Value {
        Value { name: "image".into(), channels: 3 }
    }

    fn node(&mut self, op: &str, inputs: &[&str]) -> String {
        let name = format!("{}_{}", op.to_lowercase(), self.nodes.len());
        self.nodes.push(NodeProto::of(op, &name, inputs, &[&name]));
        name
    }

    fn with_ints(&mut self, name: &str, values: &[i64]) {
        if let Some(node) = self.nodes.pop() {
            self.nodes.push(node.with_ints(name, values));
        }
    }

    fn weight(&mut self, name: &str, shape: &[usize], values: &[f32]) -> String {
        self.weights.push(TensorProto::of_f32(name, shape, values));
        name.to_owned()
    }

    /// Normal numbers with this deviation.
    fn random(&self, count: usize, deviation: f64) -> Vec<f32> {
        let random = Random::of(&[WEIGHTS, self.seed, self.weights.len() as u64]);
        (0..count as u64).map(|at| (deviation * random.normal(at)) as f32).collect()
    }

    /// A convolution that keeps the size, or divides it by its stride. Weights begin as He et al. 2015 propose (§2.2), by the
    /// inputs of a number. With `bias`, it has one that begins there.
    pub fn conv(&mut self, from: &Value, conv: Conv, bias: Option<f32>) -> Value {
        let inner = from.channels / conv.groups;
        let fan = (inner * conv.window * conv.window) as f64;
        let shape = [conv.channels, inner, conv.window, conv.window];
        let values = self.random(shape.iter().product(), (2.0 / fan).sqrt());
        let weight = self.weight(&format!("conv_{}.weight", self.nodes.len()), &shape, &values);
        let mut inputs = vec![from.name.clone(), weight];
        if let Some(value) = bias {
            let name = format!("conv_{}.bias", self.nodes.len());
            inputs.push(self.weight(&name, &[conv.channels], &vec![value; conv.channels]));
        }
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        let name = self.node("Conv", &inputs);
        let (window, stride, pad) = (conv.window as i64, conv.stride as i64, (conv.window / 2) as i64);
        self.with_ints("kernel_shape", &[window; 2]);
        self.with_ints("strides", &[stride; 2]);
        self.with_ints("pads", &[pad; 4]);
        if let Some(node) = self.nodes.pop() {
            self.nodes.push(node.with_int("group", conv.groups as i64));
        }
        Value { name, channels: conv.channels }
    }

    /// Batch normalisation.
    pub fn norm(&mut self, from: &Value) -> Value {
        let at = self.nodes.len();
        let mut inputs = vec![from.name.clone()];
        for (part, value) in [("weight", 1.0), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 1.0)] {
            let name = format!("norm_{at}.{part}");
            inputs.push(self.weight(&name, &[from.channels], &vec![value; from.channels]));
        }
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        Value { name: self.node("BatchNormalization", &inputs), channels: from.channels }
    }

    /// Negative values become 0.
    pub fn relu(&mut self, from: &Value) -> Value {
        Value { name: self.node("Relu", &[&from.name]), channels: from.channels }
    }

    /// Values below 0 become 0, values above 6 become 6.
    pub fn relu6(&mut self, from: &Value) -> Value {
        for (name, bound) in [("zero", 0.0), ("six", 6.0)] {
            if !self.weights.iter().any(|weight| weight.label() == name) {
                self.weight(name, &[], &[bound]);
            }
        }
        Value { name: self.node("Clip", &[&from.name, "zero", "six"]), channels: from.channels }
    }

    /// A convolution, its normalisation, and a ReLU.
    pub fn block(&mut self, from: &Value, conv: Conv) -> Value {
        let value = self.conv(from, conv, None);
        let value = self.norm(&value);
        self.relu(&value)
    }

    /// The sum of two values of one form.
    pub fn add(&mut self, a: &Value, b: &Value) -> Value {
        Value { name: self.node("Add", &[&a.name, &b.name]), channels: a.channels }
    }

    /// The channels of one, then those of the other.
    pub fn concat(&mut self, a: &Value, b: &Value) -> Value {
        let name = self.node("Concat", &[&a.name, &b.name]);
        self.set_axis(1);
        Value { name, channels: a.channels + b.channels }
    }

    fn set_axis(&mut self, axis: i64) {
        if let Some(node) = self.nodes.pop() {
            self.nodes.push(node.with_int("axis", axis));
        }
    }

    /// The greatest of each square of four.
    pub fn halve(&mut self, from: &Value) -> Value {
        let name = self.node("MaxPool", &[&from.name]);
        self.with_ints("kernel_shape", &[2, 2]);
        self.with_ints("strides", &[2, 2]);
        Value { name, channels: from.channels }
    }

    /// Each value four times.
    pub fn twice(&mut self, from: &Value) -> Value {
        if !self.weights.iter().any(|weight| weight.label() == "twice") {
            self.weight("twice", &[4], &[1.0, 1.0, 2.0, 2.0]);
        }
        let name = self.node("Resize", &[&from.name, "", "twice"]);
        let text = |name: &str, value: &str| AttributeProto {
            name: Some(name.into()),
            r#type: Some(3),
            s: Some(value.as_bytes().to_vec()),
            ..AttributeProto::default()
        };
        if let Some(node) = self.nodes.last_mut() {
            node.attribute.push(text("mode", "nearest"));
            node.attribute.push(text("coordinate_transformation_mode", "asymmetric"));
            node.attribute.push(text("nearest_mode", "floor"));
        }
        Value { name, channels: from.channels }
    }

    /// The mean of each channel, and one linear layer.
    pub fn classes(&mut self, from: &Value, count: usize) -> Value {
        let mean = self.node("GlobalAveragePool", &[&from.name]);
        let flat = self.node("Flatten", &[&mean]);
        let values = self.random(count * from.channels, 0.01);
        self.weight("classes.weight", &[count, from.channels], &values);
        self.weight("classes.bias", &[count], &vec![0.0; count]);
        let name = self.node("Gemm", &[&flat, "classes.weight", "classes.bias"]);
        if let Some(node) = self.nodes.pop() {
            self.nodes.push(node.with_int("transB", 1));
        }
        Value { name, channels: count }
    }

    /// A row of channels for each cell of each map: `[1, cells, channels]`.
    pub fn rows(&mut self, maps: &[Value]) -> Value {
        let channels = maps[0].channels;
        self.weights.push(TensorProto::of_i64("rows", &[3], &[1, channels as i64, -1]));
        let flat: Vec<String> = maps.iter().map(|map| self.node("Reshape", &[&map.name, "rows"])).collect();
        let flat: Vec<&str> = flat.iter().map(String::as_str).collect();
        let all = self.node("Concat", &flat);
        self.set_axis(2);
        let name = self.node("Transpose", &[&all]);
        self.with_ints("perm", &[0, 2, 1]);
        Value { name, channels }
    }

    /// Ends the graph: this value, of this shape, is its output.
    #[must_use]
    pub fn finish(mut self, output: &Value, called: &str, shape: &[usize]) -> Model {
        for node in &mut self.nodes {
            node.output.iter_mut().filter(|name| **name == output.name).for_each(|name| called.clone_into(name));
        }
        let (w, h) = (self.size.width as usize, self.size.height as usize);
        let sides = |shape: &[usize]| shape.iter().map(|side| Some(*side)).collect::<Vec<_>>();
        let graph = GraphProto {
            name: Some("ocelli".into()),
            node: self.nodes,
            initializer: self.weights,
            input: vec![ValueInfoProto::of("image", DataType::F32, Some(&sides(&[1, 3, h, w])))],
            output: vec![ValueInfoProto::of(called, DataType::F32, Some(&sides(shape)))],
            ..GraphProto::default()
        };
        let opset = OperatorSetId { domain: Some(String::new()), version: Some(OPSET) };
        let proto = ModelProto {
            ir_version: Some(IR),
            producer_name: Some("ocelli".into()),
            graph: Some(graph),
            opset_import: vec![opset],
            ..ModelProto::default()
        };
        Model { proto, exact: true }
    }
}
