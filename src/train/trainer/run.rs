//! A training from where it is to its end.

use super::event::{Ending, Event};
use super::state::State;
use super::training::Training;
use crate::error::{Error, Result};
use crate::host::Stop;
use crate::train::weights;

impl Training {
    /// Trains until all is done or `stop` asks to stop; then the state is saved.
    ///
    /// # Errors
    /// What went wrong; the last saved state is still there.
    pub fn run(&self, mut state: State, stop: &Stop, tell: &mut dyn FnMut(Event<'_>)) -> Result<Ending> {
        while !state.progress.finished {
            let number = state.progress.phase;
            let Some(part) = self.parts.get(number as usize) else { break };
            if !self.train(part, &mut state, stop, tell)? {
                return Ok(Ending::Stopped);
            }
            // The next part goes on from the best.
            state.weights = weights::load(&self.best())?;
            state.averages.clear();
            state.memories.clear();
            state.progress.phase += 1;
            state.progress.epoch = 0;
            state.progress.finished = state.progress.phase as usize == self.parts.len();
            state.save(&Self::last(&self.run))?;
        }
        let best = state.progress.best.ok_or_else(|| Error::Internal("a training without an epoch".into()))?;
        Ok(Ending::Finished(best))
    }
}
