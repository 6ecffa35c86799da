//! YOLOX and YOLOv5 begin with a picture cut into its even and odd rows and columns, which lie on top of each other as
//! channels. A convolution of that is one of the picture itself, with twice the window and a stride of 2.

use super::known::Known;
use crate::kernels::window::Window;
use crate::onnx::{Index, Model, NodeProto};

/// The picture, and the first row and column of each part.
pub struct Focus {
    pub root: String,
    parts: Vec<[usize; 2]>,
}

impl Focus {
    /// Sees whether a value is made this way.
    #[must_use]
    pub fn of(model: &Model, index: &Index, name: &str) -> Option<Self> {
        let graph = model.graph();
        let concat = &graph.node[index.maker(name)?];
        if concat.op() != "Concat" || !matches!(concat.int("axis", 0), 1 | -3) || concat.input.len() != 4 {
            return None;
        }
        let parts: Option<Vec<(String, [usize; 2])>> =
            concat.input.iter().map(|part| half(model, index, part)).collect();
        let (roots, parts): (Vec<String>, Vec<[usize; 2]>) = parts?.into_iter().unzip();
        let all = [[0, 0], [0, 1], [1, 0], [1, 1]].iter().all(|part| parts.contains(part));
        (all && roots.iter().all(|root| *root == roots[0])).then(|| Self { root: roots[0].clone(), parts })
    }

    /// The window on the picture for a window on its parts.
    #[must_use]
    pub fn window(window: &Window) -> Option<Window> {
        let twice = |both: [usize; 2]| both.map(|one| one * 2);
        let plain = window.stride == [1, 1] && window.dilation == [1, 1];
        plain.then(|| Window {
            kernel: twice(window.kernel),
            stride: [2; 2],
            dilation: [1; 2],
            before: twice(window.before),
        })
    }

    /// Weights `[outputs][4 * channels][rows][columns]` for the picture: `[outputs][channels][2 * rows][2 * columns]`.
    #[must_use]
    pub fn weights<T: Copy + Default>(&self, weights: &[T], channels: usize, [rows, columns]: [usize; 2]) -> Vec<T> {
        let mut wide = vec![T::default(); weights.len()];
        let size = 4 * rows * columns;
        for (at, weight) in weights.iter().enumerate() {
            let (x, y) = (at % columns, at / columns % rows);
            let (input, output) = (at / (rows * columns) % (4 * channels), at / (rows * columns) / (4 * channels));
            let [down, across] = self.parts[input / channels];
            let tap = (2 * y + down) * 2 * columns + 2 * x + across;
            wide[(output * channels + input % channels) * size + tap] = *weight;
        }
        wide
    }
}

/// The value of which a part takes every second row and column, and the first of them.
fn half(model: &Model, index: &Index, part: &str) -> Option<(String, [usize; 2])> {
    let graph = model.graph();
    let numbers = |node: &NodeProto, name: &str, input: usize| -> Option<Vec<i64>> {
        match node.ints(name) {
            Some(ints) => Some(ints.to_vec()),
            None => Known::of(index.weight(graph, node.input(input)?)?).map(|known| known.ints()),
        }
    };
    let (mut name, mut first, mut halved) = (part, [0, 0], [false, false]);
    while let Some(node) = index.maker(name).map(|at| &graph.node[at]).filter(|node| node.op() == "Slice") {
        let (starts, ends) = (numbers(node, "starts", 1)?, numbers(node, "ends", 2)?);
        let (axes, steps) = (numbers(node, "axes", 3)?, numbers(node, "steps", 4)?);
        for at in 0..axes.len() {
            let axis = usize::try_from(axes[at].rem_euclid(4)).ok()?.checked_sub(2)?;
            let whole = *ends.get(at)? > 1 << 20;
            if *steps.get(at)? != 2 || !whole || !matches!(starts.get(at)?, 0 | 1) || halved[axis] {
                return None;
            }
            (first[axis], halved[axis]) = (starts[at] as usize, true);
        }
        name = node.input(0)?;
    }
    (halved == [true, true]).then(|| (name.to_owned(), first))
}
