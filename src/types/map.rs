//! Answers with a value for each place in the picture: class maps and heatmaps.

use super::{Placement, Size};

/// The class of each pixel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mask {
    /// Width and height of the frame.
    pub size: Size,
    /// Class numbers, row by row; 0 is the background in most models.
    pub classes: Vec<u8>,
}

impl Mask {
    /// The classes that occur, with their share of the pixels (0–1), in numerical order.
    pub fn shares(&self) -> impl Iterator<Item = (u8, f32)> + use<> {
        let mut counts = [0_u32; 256];
        self.classes.iter().for_each(|&class| counts[usize::from(class)] += 1);
        let total = self.classes.len().max(1) as f32;
        (0..=255_u8)
            .map(move |class| (class, counts[usize::from(class)] as f32 / total))
            .filter(|(_, share)| *share > 0.0)
    }
}

/// Where a model looked: a grid over the model's input.
#[derive(Clone, Debug, Default)]
pub struct Heatmap {
    /// Columns and rows of the grid.
    pub size: Size,
    /// Row by row, 0 (nothing) to 1 (most).
    pub values: Vec<f32>,
    /// Smallest and largest value before scaling to 0–1.
    pub range: (f32, f32),
    /// The class that the map explains; `None` if it explains no particular class.
    pub class: Option<u16>,
    /// Size of the model input, which the grid covers evenly.
    pub input: Size,
    /// The mapping from the input to the frame.
    pub placement: Placement,
}

impl Heatmap {
    /// Column and row of the largest value; if several are equal, of the first.
    #[must_use]
    pub fn peak(&self) -> (u32, u32) {
        let mut best = 0;
        for (at, value) in self.values.iter().enumerate() {
            if *value > self.values[best] {
                best = at;
            }
        }
        let width = (self.size.width as usize).max(1);
        ((best % width) as u32, (best / width) as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up_and_the_first_peak_is_taken() {
        let mask = Mask { size: Size::new(2, 2), classes: vec![0, 7, 7, 0] };
        assert_eq!(mask.shares().collect::<Vec<_>>(), [(0, 0.5), (7, 0.5)]);
        let map = Heatmap { size: Size::new(2, 2), values: vec![0.0, 1.0, 1.0, 0.5], ..Heatmap::default() };
        assert_eq!(map.peak(), (1, 0));
    }
}
