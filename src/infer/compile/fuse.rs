//! What follows a convolution and is computed on its way: an activation, the sum with another map, a second activation.
//! Activations that exporters write as several nodes are seen as one.

use super::lower::Lower;
use crate::kernels::Act;
use crate::onnx::NodeProto;

/// What follows, the value that it ends in, and the nodes that are part of it.
#[derive(Debug)]
pub struct Tail {
    pub act: Act,
    /// A value that is added behind the first activation.
    pub add: Option<String>,
    pub then: Act,
    pub name: String,
    pub nodes: Vec<usize>,
}

/// Finds what follows the value `name`, which node `at` makes with these sides.
pub fn tail(lower: &Lower, at: usize, name: &str, sides: &[usize]) -> Tail {
    let mut tail = Tail { act: Act::NONE, add: None, then: Act::NONE, name: name.to_owned(), nodes: Vec::new() };
    if let Some((act, name, nodes)) = activation(lower, &tail.name) {
        (tail.act, tail.name) = (act, name);
        tail.nodes.extend(nodes);
    }
    if let Some((other, name, node)) = sum(lower, &tail.name, sides) {
        (tail.add, tail.name) = (Some(other), name);
        tail.nodes.push(node);
        if let Some((act, name, nodes)) = activation(lower, &tail.name) {
            (tail.then, tail.name) = (act, name);
            tail.nodes.extend(nodes);
        }
    }
    debug_assert!(!tail.nodes.contains(&at));
    tail
}

/// `(the other summand, the sum, its node)`, if the value is added to one of the same sides that is there already.
fn sum(lower: &Lower, name: &str, sides: &[usize]) -> Option<(String, String, usize)> {
    let user = lower.only_user(name)?;
    let node = lower.node(user);
    if node.op() != "Add" {
        return None;
    }
    let other = node.input.iter().find(|input| *input != name)?;
    let there = lower.values.get(other)?;
    (there.sides == sides && there.map().is_some()).then(|| (other.clone(), node.output[0].clone(), user))
}

/// One float of an input.
fn number(lower: &Lower, node: &NodeProto, name: &str) -> Option<f32> {
    let other = node.input.iter().find(|input| *input != name)?;
    let known = lower.known(other)?;
    (known.values.len() == 1).then(|| known.values[0] as f32)
}

/// The activation that a value goes through: what it is, the value it ends in, its nodes.
pub fn activation(lower: &Lower, name: &str) -> Option<(Act, String, Vec<usize>)> {
    if lower.index.is_output(name) {
        return None;
    }
    let users = lower.index.users(name);
    if users.iter().any(|user| !(lower.allowed)(*user)) {
        return None;
    }
    let out = |at: usize| lower.node(at).output[0].clone();
    match *users {
        [user] => act_of(lower, lower.node(user)).map(|act| (act, out(user), vec![user])),
        [a, b] => {
            // x * f(x), in any order.
            let (gate, product) = if lower.node(a).op() == "Mul" { (b, a) } else { (a, b) };
            let with_product = |at: usize| lower.only_user(&out(at)) == Some(product);
            let times = lower.node(product).op() == "Mul";
            match lower.node(gate).op() {
                "Sigmoid" if times && with_product(gate) => Some((Act::Silu, out(product), vec![gate, product])),
                "HardSigmoid" if times && with_product(gate) => {
                    let act = act_of(lower, lower.node(gate))?;
                    let swish =
                        matches!(act, Act::HardSigmoid(alpha, beta) if (alpha - 1.0 / 6.0).abs() < 1e-6 && beta == 0.5);
                    swish.then(|| (Act::HardSwish, out(product), vec![gate, product]))
                }
                "Add" => hard_swish(lower, name, gate, product),
                _ => None,
            }
        }
        _ => None,
    }
}

/// `x * min(max(x + 3, 0), 6) / 6`, with the division before or behind the product.
fn hard_swish(lower: &Lower, name: &str, plus: usize, product: usize) -> Option<(Act, String, Vec<usize>)> {
    let out = |at: usize| lower.node(at).output[0].clone();
    let sixth = |at: usize, name: &str| {
        let node = lower.node(at);
        let number = number(lower, node, name);
        match node.op() {
            "Div" => number == Some(6.0) && node.input.first().is_some_and(|input| input == name),
            "Mul" => number.is_some_and(|number| (number - 1.0 / 6.0).abs() < 1e-7),
            _ => false,
        }
    };
    (number(lower, lower.node(plus), name)? == 3.0).then_some(())?;
    let clip = lower.only_user(&out(plus))?;
    (act_of(lower, lower.node(clip))? == Act::Clamp(0.0, 6.0)).then_some(())?;
    let next = lower.only_user(&out(clip))?;
    if next == product {
        // Multiplied, then divided.
        let last = lower.only_user(&out(product))?;
        return (lower.node(product).op() == "Mul" && sixth(last, &out(product)))
            .then(|| (Act::HardSwish, out(last), vec![plus, clip, product, last]));
    }
    let divided = sixth(next, &out(clip)) && lower.only_user(&out(next)) == Some(product);
    (divided && lower.node(product).op() == "Mul")
        .then(|| (Act::HardSwish, out(product), vec![plus, clip, next, product]))
}

/// The activation that a node is by itself.
pub fn act_of(lower: &Lower, node: &NodeProto) -> Option<Act> {
    Some(match node.op() {
        "Relu" => Act::Clamp(0.0, f32::INFINITY),
        "Clip" => {
            let bound = |at: usize, name: &str, default: f32| match node.attribute(name) {
                Some(attribute) => attribute.f,
                None => lower.float(node, at, default).ok(),
            };
            Act::Clamp(bound(1, "min", f32::NEG_INFINITY)?, bound(2, "max", f32::INFINITY)?)
        }
        "LeakyRelu" => Act::Leaky(node.float("alpha", 0.01)),
        "Sigmoid" => Act::Sigmoid,
        "HardSigmoid" => Act::HardSigmoid(node.float("alpha", 0.2), node.float("beta", 0.5)),
        "HardSwish" => Act::HardSwish,
        "Exp" => Act::Exp,
        _ => return None,
    })
}
