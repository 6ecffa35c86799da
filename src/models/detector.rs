//! The interface of detectors.

use crate::error::{Error, Result};
use crate::infer::{Outputs, Run};
use crate::types::{Details, Detection, ModelInput, Placement};
use std::sync::Arc;

/// What a detector sees of a frame.
#[derive(Clone, Copy)]
pub struct Seen<'a> {
    /// Name of the frame's source: models with state keep a separate state for each source.
    pub source: &'a Arc<str>,
    /// The model input.
    pub input: &'a ModelInput,
}

/// Finds objects with the graphs of a card.
pub trait Detector: Send {
    /// Runs the model and adds every answer with a score of at least `min_score` to `found`, in frame pixels, before
    /// NMS. A one-stage detector keeps this default and implements [`Detector::decode`]; a two-stage detector runs its
    /// graphs in turn.
    ///
    /// # Errors
    /// [`Error::Model`] if a graph cannot be run or an output does not have the shape in the card.
    fn detect(&mut self, run: &mut dyn Run, seen: Seen<'_>, min_score: f32, found: &mut Vec<Detection>) -> Result<()> {
        let outputs = run.picture(seen.source, &seen.input.image)?;
        self.decode(outputs, &seen.input.placement, min_score, found)
    }

    /// Turns the outputs of the only graph into boxes.
    ///
    /// # Errors
    /// [`Error::Model`] if an output does not have the shape in the card.
    fn decode(
        &mut self,
        _outputs: &dyn Outputs,
        _placement: &Placement,
        _min_score: f32,
        _found: &mut Vec<Detection>,
    ) -> Result<()> {
        Err(Error::Internal("a detector with several graphs cannot decode the outputs of a single one".into()))
    }

    /// Returns what the model said of the objects of the last frame beyond their boxes, if it says more of any. The caller
    /// may swap it for another one, whose buffers are then filled.
    fn details(&mut self) -> Option<&mut Details> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::infer::Arrays;
    use crate::types::{BBox, Image};

    /// Two graphs of a card: the first proposes boxes, the second scores them.
    struct TwoGraphs {
        proposals: Arrays,
        heads: Arrays,
        asked: Vec<usize>,
    }

    impl Run for TwoGraphs {
        fn picture(&mut self, _: &Arc<str>, _: &Image) -> Result<&dyn Outputs> {
            Ok(&self.proposals)
        }
        fn further(&mut self, graph: &str, inputs: &[(&[usize], &[f32])]) -> Result<&dyn Outputs> {
            assert_eq!(graph, "heads");
            self.asked = inputs[0].0.to_vec();
            Ok(&self.heads)
        }
    }

    struct TwoStages;

    impl Detector for TwoStages {
        fn detect(
            &mut self,
            run: &mut dyn Run,
            seen: Seen<'_>,
            min_score: f32,
            found: &mut Vec<Detection>,
        ) -> Result<()> {
            let (mut shape, mut boxes, mut scores) = (Vec::new(), Vec::new(), Vec::new());
            run.picture(seen.source, &seen.input.image)?.read(0, 1.0, 0, &mut shape, &mut boxes)?;
            run.further("heads", &[(&shape, &boxes)])?.read(0, 1.0, 0, &mut shape, &mut scores)?;
            for (corners, score) in
                boxes.as_chunks::<4>().0.iter().zip(&scores).filter(|(_, score)| **score >= min_score)
            {
                let [x1, y1, x2, y2] = *corners;
                found.push(Detection::new(seen.input.placement.to_frame(BBox::new(x1, y1, x2, y2)), 0, *score));
            }
            Ok(())
        }
    }

    #[test]
    fn a_detector_of_two_stages_is_a_detector() {
        let proposals = Arrays(vec![(vec![2, 4], vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0])]);
        let heads = Arrays(vec![(vec![2], vec![0.1, 0.9])]);
        let mut run = TwoGraphs { proposals, heads, asked: Vec::new() };
        let input = ModelInput {
            placement: Placement { scale: (1.0, 1.0), offset: (0.0, 0.0), frame: crate::types::Size::new(10, 10) },
            ..ModelInput::default()
        };
        let mut found = Vec::new();
        let detector: &mut dyn Detector = &mut TwoStages;
        detector.detect(&mut run, Seen { source: &Arc::from("cam"), input: &input }, 0.5, &mut found).unwrap();
        assert_eq!(run.asked, [2, 4]);
        assert_eq!(found, [Detection::new(BBox::new(5.0, 6.0, 7.0, 8.0), 0, 0.9)]);
    }
}
