//! U-Net with normalisation, with a quarter of its channels (Ronneberger, Fischer and Brox 2015, §2): class maps of the
//! input's size.

use super::builder::{Builder, Conv, Value};
use super::wanted::{Made, Wanted};

/// Channels from the whole size to an eighth of it.
const CHANNELS: [usize; 4] = [16, 32, 64, 128];

fn pair(net: &mut Builder, from: &Value, channels: usize) -> Value {
    let once = net.block(from, Conv::new(channels, 3, 1));
    net.block(&once, Conv::new(channels, 3, 1))
}

/// Makes the graph.
#[must_use]
pub fn build(wanted: &Wanted) -> Made {
    let mut net = Builder::new(wanted.size, wanted.seed);
    let picture = Builder::picture();
    let mut levels = vec![pair(&mut net, &picture, CHANNELS[0])];
    for channels in &CHANNELS[1..] {
        let half = net.halve(&levels[levels.len() - 1]);
        levels.push(pair(&mut net, &half, *channels));
    }
    let mut x = levels.pop().unwrap_or(picture);
    while let Some(level) = levels.pop() {
        let up = net.twice(&x);
        let up = net.block(&up, Conv::new(level.channels, 3, 1));
        let both = net.concat(&level, &up);
        x = pair(&mut net, &both, level.channels);
    }
    let scores = net.conv(&x, Conv::new(wanted.classes, 1, 1), Some(0.0));
    let (w, h) = (wanted.size.width as usize, wanted.size.height as usize);
    Made { model: net.finish(&scores, "scores", &[1, wanted.classes, h, w]), family: "segmentation: { form: logits }" }
}
