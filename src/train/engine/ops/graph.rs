//! What the operators read from a graph: constants, names of inputs.

use crate::onnx::{Index, Model, NodeProto, TensorProto};
use crate::train::engine::kernel::Kernel;
use crate::train::engine::tensor::Tensor;
use std::collections::HashMap;

/// A kernel, and the names of the inputs that it takes.
pub type Read<'a> = Result<(Box<dyn Kernel>, Vec<&'a str>), String>;

/// The constants of a graph.
pub struct Values<'a> {
    model: &'a Model,
    index: Index,
    /// Whole numbers that were worked out.
    known: HashMap<String, Vec<i64>>,
}

impl<'a> Values<'a> {
    /// Those of a graph.
    #[must_use]
    pub fn new(model: &'a Model) -> Self {
        Self { model, index: model.index(), known: HashMap::new() }
    }

    /// Remembers whole numbers that were worked out.
    pub fn learn(&mut self, name: &str, values: Vec<i64>) {
        self.known.insert(name.to_owned(), values);
    }

    fn proto(&self, name: &str) -> Option<&TensorProto> {
        let graph = self.model.graph();
        self.index.weight(graph, name).or_else(|| {
            let node = &graph.node[self.index.maker(name)?];
            node.attribute("value").filter(|_| node.op() == "Constant")?.t.as_ref()
        })
    }

    /// The values of a weight or a constant.
    ///
    /// # Errors
    /// If it is neither, or holds no numbers.
    pub fn tensor(&self, name: &str) -> Result<Tensor, String> {
        let proto = self.proto(name).ok_or_else(|| format!("`{name}` is computed by a part without gradients"))?;
        proto.check()?;
        let values = proto.floats().map_err(|error| error.to_string())?;
        let shape = proto.shape();
        if shape.iter().product::<usize>() != values.len() {
            return Err(format!("`{name}` has another number of values than its shape says"));
        }
        Ok(Tensor { shape, values })
    }

    /// The shape of a weight or a constant.
    #[must_use]
    pub fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.proto(name).map(TensorProto::shape)
    }

    /// The whole numbers of a constant; `None` if the input is omitted or computed.
    pub(super) fn ints(&self, name: Option<&str>) -> Option<Vec<i64>> {
        let name = name?;
        self.known.get(name).cloned().or_else(|| self.proto(name)?.ints().ok())
    }

    /// The floats of a constant.
    pub(super) fn floats(&self, name: Option<&str>) -> Option<Vec<f32>> {
        self.proto(name?)?.floats().ok()
    }
}

/// The first inputs of a node, as many as it has.
pub(super) fn inputs(node: &NodeProto, most: usize) -> Vec<&str> {
    (0..most).map_while(|at| node.input(at)).collect()
}
