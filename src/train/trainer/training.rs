//! A training: what is trained from what, on what, in which parts.

use super::part::{Part, total};
use super::state::{Progress, State};
use crate::error::{Error, Result};
use crate::infer::{Card, ModelStore};
use crate::onnx::{Model, TensorProto};
use crate::train::data::Set;
use crate::train::export::with_weights;
use crate::train::heads::{Head, attach};
use crate::train::nets::{self, Wanted};
use crate::train::plan::prepare;
use crate::train::recipe::{Freeze, Origin, Written};
use crate::train::weights;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// A training that is ready to run.
pub struct Training {
    /// The recipe.
    pub written: Written,
    /// The model it starts from.
    pub card: Card,
    /// The pictures.
    pub set: Set,
    /// The end of the model.
    pub head: Box<dyn Head>,
    /// The graph, with the classes of the set.
    pub model: Model,
    /// The folder of the run.
    pub run: PathBuf,
    pub(super) parts: Vec<Part>,
    /// What the training follows from.
    origin: String,
}

impl Training {
    /// Reads the pictures and the model. A net that is made from scratch is written below `run`.
    ///
    /// # Errors
    /// What is wrong with the recipe, the pictures or the model.
    pub fn new(written: Written, models: &ModelStore, run: PathBuf) -> Result<Self> {
        let (set, card) = match &written.recipe.model {
            Origin::Model(name) => {
                let card = models.card(name).map_err(|error| match error {
                    Error::Model(message) => written.error(&["model"], message),
                    other => other,
                })?;
                (Set::read(&written, &card.labels)?, card)
            }
            Origin::New(new) => {
                let plan = nets::find(&new.new, new.size).map_err(|what| written.error(&["model"], what))?;
                let set = Set::read(&written, &[])?;
                if set.classes.is_empty() {
                    let message = "the labels have no names; give those of the classes in `data.classes`, such as `[background, cell]`";
                    return Err(written.error(&["data", "classes"], message));
                }
                let wanted = Wanted { size: new.size, classes: set.classes.len(), seed: written.recipe.schedule.seed };
                let card = nets::write(plan, &run.join(&new.new), &wanted, &set.classes)?;
                (set, card)
            }
        };
        Self::of(written, card, set, run)
    }

    /// Like [`Training::new`], with these pictures.
    ///
    /// # Errors
    /// As [`Training::new`].
    pub fn of(written: Written, card: Card, set: Set, run: PathBuf) -> Result<Self> {
        let mut model = card.graph()?;
        prepare(&mut model)?;
        let head = attach(&written, &card, &mut model, &set)?;
        let s = &written.recipe.schedule;
        let part = |what, freeze: Freeze, epochs, rate| Part { what, freeze, epochs, rate };
        let fresh = matches!(written.recipe.model, Origin::New(_));
        if fresh && written.recipe.freeze.as_ref().is_some_and(|freeze| *freeze != Freeze::None) {
            return Err(
                written.error(&["freeze"], "a net that is trained from scratch has nothing to freeze; leave it out")
            );
        }
        if let Some(Freeze::Patterns(patterns)) = &written.recipe.freeze {
            let names: Vec<&str> = model.graph().initializer.iter().map(TensorProto::label).collect();
            let idle = |pattern: &&String| {
                glob::Pattern::new(pattern).is_ok_and(|pattern| !names.iter().any(|name| pattern.matches(name)))
            };
            if let Some(pattern) = patterns.iter().find(idle) {
                let some = names.iter().take(3).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
                let message = format!("`{pattern}` matches no weight; they are called {some} …");
                return Err(written.error(&["freeze"], message));
            }
        }
        let parts = match &written.recipe.freeze {
            None if fresh => vec![part(words(&Freeze::None), Freeze::None, s.epochs, s.rate)],
            Some(freeze) => vec![part(words(freeze), freeze.clone(), s.epochs, s.rate)],
            None => {
                let heads = part("the heads", Freeze::Backbone, s.epochs, s.rate);
                let all = part("all layers", Freeze::None, s.unfrozen, s.rate / 10.0);
                [heads, all].into_iter().filter(|part| part.epochs > 0).collect()
            }
        };
        let hash = |parts: &mut dyn Iterator<Item = &[u8]>| -> String {
            let mut hash = Sha256::new();
            parts.for_each(|part| hash.update(part));
            hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
        };
        let pictures = &mut set.train.iter().chain(&set.val).map(|sample| sample.hash.as_slice());
        let recipe = hash(&mut [written.text.as_bytes()].into_iter());
        let origin = [recipe, hash(pictures), card.fields.model.sha256.clone()].join(" ");
        Ok(Self { written, card, set, head, model, run, parts, origin })
    }

    /// The same training, of eight pictures that are its validation set, too.
    ///
    /// # Errors
    /// As [`Training::new`].
    pub fn by_heart(self) -> Result<Self> {
        let Self { written, card, mut set, run, .. } = self;
        set.only(8);
        Self::of(written, card, set, run)
    }

    /// The file that a training goes on from.
    #[must_use]
    pub fn last(run: &Path) -> PathBuf {
        run.join("last.safetensors")
    }

    /// The file with the weights of the best epoch.
    pub(super) fn best(&self) -> PathBuf {
        self.run.join("best.safetensors")
    }

    /// Where it begins, or goes on.
    ///
    /// # Errors
    /// [`Error::Config`] if it was begun with another recipe, other pictures or another model.
    pub fn begin(&self) -> Result<State> {
        let path = Self::last(&self.run);
        if !path.exists() {
            let progress = Progress { origin: self.origin.clone(), ..Progress::default() };
            return Ok(State { progress, ..State::default() });
        }
        let state = State::load(&path)?;
        let parts = state.progress.origin.split(' ').zip(self.origin.split(' '));
        let words = ["another recipe or other --set options", "other pictures", "another model"];
        let changed: Vec<&str> = parts.zip(words).filter(|((a, b), _)| a != b).map(|(_, word)| word).collect();
        if !changed.is_empty() {
            return Err(Error::Config(format!(
                "{}: it was begun with {}; undo the change, or start anew without --resume",
                self.run.display(),
                changed.join(", ")
            )));
        }
        Ok(state)
    }

    /// The model with the best weights so far.
    ///
    /// # Errors
    /// [`Error::Io`] if there are none yet.
    pub fn result(&self) -> Result<Model> {
        with_weights(&self.model, &weights::load(&self.best())?)
    }

    /// What each part trains, how many numbers, and of how many.
    ///
    /// # Errors
    /// [`Error::Model`] if nothing is left to train.
    pub fn plan(&self) -> Result<Vec<(&'static str, usize, usize)>> {
        let one = |part: &Part| {
            let division = part.division(&*self.head, &self.model)?;
            Ok((part.what, division.numbers(&self.model), total(&self.model)))
        };
        self.parts.iter().map(one).collect()
    }

    /// How many parts there are.
    #[must_use]
    pub fn parts(&self) -> usize {
        self.parts.len()
    }
}

const fn words(freeze: &Freeze) -> &'static str {
    match freeze {
        Freeze::Backbone => "all but the backbone",
        Freeze::AllButHead => "the last layer",
        Freeze::None => "all layers",
        Freeze::Patterns(_) => "all that no pattern of `freeze` matches",
    }
}
