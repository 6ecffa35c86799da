//! One part of a training: the epochs in which the same layers are frozen.

use super::event::{Event, Phase, Step};
use super::learner::Learner;
use super::part::{Part, total};
use super::state::{Best, Row, State};
use super::training::Training;
use crate::error::{Error, Result};
use crate::host::Stop;
use crate::onnx::Model;
use crate::train::export::{Package, with_weights};
use crate::train::features::{Features, Frozen};
use crate::train::judge;
use crate::train::random::Random;
use crate::train::recipe::{Curve, Freeze, Origin};
use crate::train::schedule::{Rate, Schedule};
use crate::train::weights;
use std::time::{Duration, Instant};

/// The purpose of random numbers here.
const ORDER: u64 = 2;

/// Answers with a lower score do not count: AP needs almost all.
pub const LEAST: f64 = 0.01;

/// How long a step may be away from the last saved state.
const SAVE_EVERY: Duration = Duration::from_mins(5);

impl Training {
    /// Trains one part from where the state is. Returns whether it is over; else it was asked to stop.
    pub(super) fn train(
        &self,
        part: &Part,
        state: &mut State,
        stop: &Stop,
        tell: &mut dyn FnMut(Event<'_>),
    ) -> Result<bool> {
        let recipe = &self.written.recipe;
        let s = &recipe.schedule;
        let model = with_weights(&self.model, &state.weights)?;
        let division = part.division(&*self.head, &model)?;
        let frozen = Frozen::load(&self.card, &self.model, &division.cuts)?;
        let kept = self.run.join("features");
        let train = Features::new(&frozen, &self.set.train, Some(&recipe.augment), s.seed, Some(&kept))?;
        let val = Features::new(&frozen, &self.set.val, None, s.seed, Some(&kept))?;
        let size = (s.batch as usize).min(train.count());
        let fresh = matches!(recipe.model, Origin::New(_));
        let mut learner = Learner::build(&model, &frozen, &division, &*self.head, s, size, fresh)?;
        let batches = train.count().div_ceil(size) as u64;
        let steps = batches.div_ceil(s.accumulate);
        let rate = rate(part, s.warmup, s.curve, steps);
        let every = s.measure.unwrap_or((part.epochs / 10).max(1));

        // Three steps that change nothing say how long it will take.
        let started = Instant::now();
        let probe = train.batch(&order(s.seed, state.progress.phase, 0, train.count(), size)[..size], 0)?;
        let loading = started.elapsed();
        let timed = Instant::now();
        let before = learner.weights();
        for _ in 0..3 {
            learner.learn(&probe)?;
        }
        learner.forget();
        learner.set(&before);
        let left = part.epochs - state.progress.epoch;
        let once = loading.mul_f64(batches as f64);
        let again = if part.freeze == Freeze::None { left.saturating_sub(1) as f64 } else { 3.0_f64.min(left as f64) };
        tell(Event::Phase(Phase {
            number: (state.progress.phase, self.parts() as u64),
            what: part.what,
            numbers: (division.numbers(&model), total(&model)),
            nodes: division.nodes,
            epochs: (left, steps),
            estimate: (timed.elapsed() / 3).mul_f64((batches * left) as f64) + once.mul_f64(1.0 + again),
        }));

        let (start, mut saved) = (Instant::now(), Instant::now());
        let (seconds, mut seen) = (state.progress.seconds.1, 0);
        let mut epoch_start = Instant::now();
        while state.progress.epoch < part.epochs {
            let epoch = state.progress.epoch;
            let order = order(s.seed, state.progress.phase, epoch, train.count(), size);
            let before = state.progress.seconds.0;
            while state.progress.batch < batches {
                let number = state.progress.batch;
                if number.is_multiple_of(s.accumulate) && (stop.is_requested() || saved.elapsed() > SAVE_EVERY) {
                    state.weights.extend(learner.weights());
                    state.progress.seconds =
                        (before + epoch_start.elapsed().as_secs_f64(), seconds + start.elapsed().as_secs_f64());
                    state.save(&Self::last(&self.run))?;
                    saved = Instant::now();
                    if stop.is_requested() {
                        return Ok(false);
                    }
                }
                let batch = train.batch(&order[number as usize * size..][..size], epoch)?;
                let loss = learner.learn(&batch)?;
                add(&mut state.progress.sums, &loss.parts, 1.0);
                let step = epoch * steps + number / s.accumulate;
                if (number + 1).is_multiple_of(s.accumulate) || number + 1 == batches {
                    learner.step(state, rate.at(step));
                }
                state.progress.batch += 1;
                seen += size as u64;
                let mean: Vec<(String, f64)> =
                    state.progress.sums.iter().map(|(name, sum)| (name.clone(), sum / (number + 1) as f64)).collect();
                tell(Event::Step(Step {
                    epoch: (epoch, part.epochs),
                    batch: (number + 1, batches),
                    loss: &mean,
                    rate: rate.at(step),
                    speed: (seen, start.elapsed().as_secs_f64()),
                }));
            }

            let live = learner.weights();
            let mut current = live.clone();
            current.extend(state.averages.clone());
            learner.set(&current);
            let mut row = Row {
                phase: state.progress.phase,
                epoch,
                rate: rate.at(epoch * steps + steps - 1),
                train: state.progress.sums.iter().map(|(name, sum)| (name.clone(), sum / batches as f64)).collect(),
                val: val_loss(&mut learner, &val, size)?,
                ..Row::default()
            };
            learner.set(&live);
            let mut all = state.weights.clone();
            all.extend(current);
            let mut is_best = false;
            let best = state.progress.best;
            let over = self.over(state, part, &row, seconds + start.elapsed().as_secs_f64());
            if (epoch + 1).is_multiple_of(every) || epoch + 1 == part.epochs || over.is_some() {
                let measured = self.measure(&with_weights(&self.model, &all)?)?;
                row.metric = Some(measured);
                let loss = row.loss();
                is_best = best.is_none_or(|best| (measured, -loss) > (best.metric, -best.loss));
                if is_best {
                    weights::save(&self.best(), &all)?;
                    state.progress.best = Some(Best { phase: row.phase, epoch, metric: measured, loss });
                }
            }
            row.seconds = before + epoch_start.elapsed().as_secs_f64();
            epoch_start = Instant::now();
            tell(Event::Epoch { row: &row, metric: self.metric(), is_best });
            state.weights.extend(live);
            let progress = &mut state.progress;
            progress.history.push(row);
            (progress.epoch, progress.batch) = (epoch + 1, 0);
            progress.sums.clear();
            progress.seconds = (0.0, seconds + start.elapsed().as_secs_f64());
            if let Some(why) = over {
                tell(Event::Note(&why));
                progress.epoch = part.epochs;
            }
            state.save(&Self::last(&self.run))?;
            saved = Instant::now();
        }
        Ok(true)
    }

    /// Why a part ends before its last epoch.
    fn over(&self, state: &State, part: &Part, row: &Row, seconds: f64) -> Option<String> {
        let s = &self.written.recipe.schedule;
        if row.epoch + 1 == part.epochs {
            return None;
        }
        if let Some(limit) = s.time.filter(|limit| seconds > limit.0.as_secs_f64()) {
            return Some(format!("the time limit of {} is over", humantime::format_duration(limit.0)));
        }
        let mut losses: Vec<f64> =
            state.progress.history.iter().filter(|r| r.phase == row.phase).map(Row::loss).collect();
        losses.push(row.loss());
        let least = losses.iter().copied().enumerate().min_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |(at, _)| at);
        let waited = (losses.len() - 1 - least) as u64;
        (s.patience > 0 && waited >= s.patience).then(|| format!("{waited} epochs were no better; this part ends"))
    }

    /// The name of what counts.
    fn metric(&self) -> &'static str {
        self.head.metric_name()
    }

    /// Measures a model as a device would run it.
    fn measure(&self, model: &Model) -> Result<f64> {
        let folder = self.run.join("candidate");
        self.package().write(&folder.join("model"), model, None)?;
        let measured = judge::measure(&self.set, &folder, &self.lines("model", Some(LEAST)), 0)?;
        self.head
            .metric(&measured)
            .ok_or_else(|| Error::Data("nothing could be measured on the validation pictures".into()))
    }

    /// What the exported files say.
    #[must_use]
    pub fn package(&self) -> Package<'_> {
        let file = self.written.file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let license = self.written.recipe.export.license.clone();
        Package {
            base: &self.card,
            classes: &self.set.classes,
            license: license.unwrap_or_else(|| self.card.fields.model.license.clone()),
            source: match &self.written.recipe.model {
                Origin::Model(name) => format!("ocelli train {file}, from the model {name}"),
                Origin::New(new) => format!("ocelli train {file}, from scratch ({})", new.new),
            },
        }
    }

    /// The lines of a pipeline behind its source.
    #[must_use]
    pub fn lines(&self, model: &str, least: Option<f64>) -> Vec<(&'static str, String)> {
        let resize = ("resize", format!("{{ for: {model} }}"));
        std::iter::once(resize).chain(self.head.lines(model, least)).collect()
    }
}

/// The pictures of an epoch in random order; the last batch is filled up with the first ones.
fn order(seed: u64, phase: u64, epoch: u64, count: usize, size: usize) -> Vec<usize> {
    let mut order = Random::of(&[ORDER, seed, phase, epoch]).order(count);
    for at in 0..(size - count % size) % size {
        order.push(order[at]);
    }
    order
}

fn add(sums: &mut Vec<(String, f64)>, parts: &[(&'static str, f64)], share: f64) {
    for (at, (name, value)) in parts.iter().enumerate() {
        match sums.get_mut(at) {
            Some((_, sum)) => *sum += value * share,
            None => sums.push(((*name).to_owned(), value * share)),
        }
    }
}

/// The mean of each part of the loss on the validation pictures.
fn val_loss(learner: &mut Learner<'_>, val: &Features<'_>, size: usize) -> Result<Vec<(String, f64)>> {
    let mut sums = Vec::new();
    let places: Vec<usize> = (0..val.count()).collect();
    for places in places.chunks(size) {
        let loss = learner.judge(&val.batch(places, 0)?)?;
        add(&mut sums, &loss.parts, places.len() as f64 / val.count() as f64);
    }
    Ok(sums)
}

fn rate(part: &Part, warmup: f64, curve: Curve, steps: u64) -> Rate {
    let all = part.epochs * steps;
    let warmup = ((warmup * steps as f64).round() as u64).min(all / 2);
    let rest = all - warmup;
    let at = |share: f64| (rest as f64 * share) as u64;
    let schedule = match curve {
        Curve::Cosine => Schedule::Cosine { steps: rest, least: 0.0 },
        Curve::Step => Schedule::MultiStep { at: vec![at(2.0 / 3.0), at(0.9)], gamma: 0.1 },
        Curve::Poly => Schedule::Poly { steps: rest, power: 0.9 },
        Curve::Constant => Schedule::Constant,
    };
    Rate { base: part.rate, warmup, from: 0.01, schedule }
}
