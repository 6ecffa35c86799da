//! MobileNetV2 (Sandler et al. 2018, Table 2), a classifier.

use super::builder::{Builder, Conv, Value};
use super::wanted::{Made, Wanted};

/// Expansion, channels, repetitions, stride.
const STAGES: [[usize; 4]; 7] =
    [[1, 16, 1, 1], [6, 24, 2, 2], [6, 32, 3, 2], [6, 64, 4, 2], [6, 96, 3, 1], [6, 160, 3, 2], [6, 320, 1, 1]];

/// A convolution, its normalisation, and a ReLU6.
fn block(net: &mut Builder, from: &Value, conv: Conv) -> Value {
    let value = net.conv(from, conv, None);
    let value = net.norm(&value);
    net.relu6(&value)
}

/// An inverted residual with a linear bottleneck.
fn bottleneck(net: &mut Builder, from: &Value, expansion: usize, channels: usize, stride: usize) -> Value {
    let wide = from.channels * expansion;
    let mut x = from.clone();
    if expansion > 1 {
        x = block(net, &x, Conv::new(wide, 1, 1));
    }
    x = block(net, &x, Conv { groups: wide, ..Conv::new(wide, 3, stride) });
    x = net.conv(&x, Conv::new(channels, 1, 1), None);
    x = net.norm(&x);
    if stride == 1 && from.channels == channels { net.add(from, &x) } else { x }
}

/// Makes the graph.
#[must_use]
pub fn build(wanted: &Wanted) -> Made {
    let mut net = Builder::new(wanted.size, wanted.seed);
    let mut x = block(&mut net, &Builder::picture(), Conv::new(32, 3, 2));
    for [expansion, channels, times, stride] in STAGES {
        for at in 0..times {
            x = bottleneck(&mut net, &x, expansion, channels, if at == 0 { stride } else { 1 });
        }
    }
    x = block(&mut net, &x, Conv::new(1280, 1, 1));
    let logits = net.classes(&x, wanted.classes);
    Made { model: net.finish(&logits, "logits", &[1, wanted.classes]), family: "classifier: { scores: logits }" }
}
