//! `ocelli train`: trains a model on labelled pictures.

use super::console;
use super::global::{Global, say};
use super::{progress, signals};
use crate::error::{Error, Result};
use crate::eval::table::shown;
use crate::host::{Reopen, Stop, lock, replace};
use crate::infer::ModelStore;
use crate::train::events;
use crate::train::publish::csv;
use crate::train::recipe::{Written, proposal};
use crate::train::trainer::{Ending, Event, Phase, Row, Training};
use crate::yaml::Document;
use clap::Args;
use indicatif::ProgressBar;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Train a model on your own labelled pictures
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ocelli train photos/ --model scene_tags --write photos.yaml   write a recipe for a folder of pictures
  ocelli train photos.yaml                                      train, measure, and put the model where the recipe says
  ocelli train photos.yaml --set schedule.epochs=60 --set freeze=none
  ocelli train photos.yaml --dry-run                            can it learn 8 pictures by heart?
  ocelli train photos.yaml --resume                             go on after Ctrl-C or a crash; publish again, if it was over

Labels are read as `ocelli eval` reads them: one folder for each class, COCO, Pascal VOC, YOLO, class maps. What is frozen \
runs once for each variant of a picture; then only the rest is trained. Each run has its own folder, `runs/NAME` beside the \
recipe, with its state, results.csv and report.html. docs/training.md explains recipes.")]
pub struct TrainArgs {
    /// The recipe's YAML file; with --write, a folder or file of labels
    file: PathBuf,
    /// Change a setting of the recipe: SETTING=VALUE; may be given several times
    #[arg(long, value_name = "SETTING")]
    set: Vec<String>,
    /// Go on with the last run, with the same options; publish it again if it was over
    #[arg(long)]
    resume: bool,
    /// The folder of the run, instead of `runs/NAME` beside the recipe
    #[arg(long, value_name = "FOLDER")]
    run: Option<PathBuf>,
    /// Train on 8 pictures until they are learnt by heart, and keep nothing: shows that data and model fit each other
    #[arg(long, conflicts_with = "resume")]
    dry_run: bool,
    /// The model to start from, for --write
    #[arg(long, value_name = "NAME", requires = "write")]
    model: Option<String>,
    /// Write a recipe into this file and stop
    #[arg(long, value_name = "FILE", requires = "model")]
    write: Option<PathBuf>,
}

impl TrainArgs {
    /// Trains.
    ///
    /// # Errors
    /// What is wrong with the recipe, the pictures or the model, or what could not be written.
    pub fn run(&self, global: &Global) -> Result<()> {
        if let (Some(to), Some(model)) = (&self.write, &self.model) {
            return self.propose(to, model, global);
        }
        if self.file.is_dir() {
            return Err(Error::Config(format!(
                "{} is a folder; write a recipe for it: ocelli train {} --model NAME --write FILE.yaml",
                self.file.display(),
                self.file.display()
            )));
        }
        let mut written = Written::read(&self.file, &self.set)?;
        let models = models(&written, global);
        if self.dry_run {
            written.for_dry_run();
        }
        // What is wrong with the set is told before a folder is made.
        let kept = tempfile::tempdir().map_err(|e| Error::io("temporary folder", e))?;
        let mut training = Training::new(written, &models, kept.path().to_path_buf())?;
        training.name()?;
        training.set.notes.iter().for_each(|note| tracing::warn!("{note}"));
        if self.dry_run {
            training = training.by_heart()?;
        } else {
            training.run = self.folder(&training)?;
        }
        // One process for each run.
        let path = training.run.join("lock");
        let own = File::create(&path).map_err(|e| Error::io(&path, e))?;
        lock(&own, &path)?;
        say(&console::harmless(&format!("{}run: {}\n", about(&training), training.run.display())))?;
        let stop = Stop::default();
        signals::listen(stop.clone(), Reopen::default(), || {})?;
        let state = training.begin()?;
        let mut teller = Teller::default();
        let results = training.run.join("results.csv");
        let metric = training.head.metric_name();
        let mut history = state.progress.history.clone();
        let mut written = Ok(());
        let ending = training.run(state, &stop, &mut |event| {
            if let Event::Epoch { row, .. } = &event {
                history.push((*row).clone());
                let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64());
                written = replace(&results, csv(&history, metric).as_bytes())
                    .and_then(|()| events::add(&training.run, row, metric, history.len(), time));
            }
            teller.tell(&event);
        });
        teller.clear();
        let best = match ending? {
            Ending::Finished(best) => best,
            Ending::Stopped if self.dry_run => {
                console::say("stopped; a dry run keeps nothing");
                return Ok(());
            }
            Ending::Stopped => {
                let run = training.run.display();
                console::say(&format!("stopped; the state is in {run}; go on with: {}", self.again(global)));
                return Ok(());
            }
        };
        written?;
        if self.dry_run {
            return judge_dry_run(best.metric, metric);
        }
        let published = training.publish(&best)?;
        let report = training.run.join("report.html");
        replace(&report, published.page(&training, &history)?.as_bytes())?;
        say(&console::harmless(&published.measured.text()))?;
        if let Some(replaced) = &published.replaced {
            say(&format!("the model that was there before is now in {}\n", replaced.display()))?;
        }
        say(&format!(
            "{}: the model, best after epoch {} of part {}\n{}: curves and the worst pictures\ntry it: ocelli run {}\n",
            published.folder.display(),
            best.epoch + 1,
            best.phase + 1,
            report.display(),
            published.pipeline.display()
        ))
    }

    /// The command that goes on with this training.
    fn again(&self, global: &Global) -> String {
        let quoted = |text: &str| {
            let plain = |c: char| c.is_alphanumeric() || "_-./=,:".contains(c);
            if text.chars().all(plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
        };
        let mut words = vec![format!("ocelli train {} --resume", quoted(&self.file.display().to_string()))];
        words.extend(self.set.iter().map(|setting| format!("--set {}", quoted(setting))));
        words.extend(self.run.iter().map(|run| format!("--run {}", quoted(&run.display().to_string()))));
        words.extend(global.models.iter().map(|models| format!("--models {}", quoted(&models.display().to_string()))));
        words.join(" ")
    }

    fn propose(&self, to: &Path, model: &str, global: &Global) -> Result<()> {
        if to.exists() {
            return Err(Error::Config(format!("{} is there already; choose another --write", to.display())));
        }
        let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        ModelStore::new(&global.models, folder).card(model)?;
        if !self.file.exists() {
            return Err(Error::Config(format!(
                "{}: there are no labels; give a folder or a file of labels",
                self.file.display()
            )));
        }
        replace(to, proposal(&self.file, model, to)?.as_bytes())?;
        say(&format!("{0}: written; look at it, then run: ocelli train {0}\n", to.display()))
    }

    /// The folder of the run: a new one, or with --resume the last.
    fn folder(&self, training: &Training) -> Result<PathBuf> {
        let stem = self.file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let runs = training.written.beside(Path::new("runs"));
        let numbered = |number: u32| runs.join(if number == 1 { stem.clone() } else { format!("{stem}-{number}") });
        if self.resume {
            let known = || (1..10_000).map(numbered).take_while(|folder| folder.exists());
            let last = self.run.clone().or_else(|| known().filter(|folder| Training::last(folder).exists()).last());
            return last.filter(|folder| Training::last(folder).exists()).ok_or_else(|| {
                let folder = self.run.clone().unwrap_or_else(|| numbered(1));
                Error::Config(format!("{}: nothing to go on with; leave out --resume", folder.display()))
            });
        }
        let make = |folder: &Path| std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, e));
        if let Some(folder) = &self.run {
            if Training::last(folder).exists() {
                let message = "there is a run in it already; go on with --resume, or choose another folder";
                return Err(Error::Config(format!("--run {}: {message}", folder.display())));
            }
            make(folder)?;
            return Ok(folder.clone());
        }
        make(&runs)?;
        for folder in (1..10_000).map(numbered) {
            match std::fs::create_dir(&folder) {
                Ok(()) => return Ok(folder),
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(Error::io(&folder, e)),
            }
        }
        Err(Error::Config(format!("{}: there are 9999 runs; remove some", runs.display())))
    }
}

/// Whether a file is a recipe rather than a pipeline.
#[must_use]
pub fn is_recipe(file: &Path) -> bool {
    let document = (file != Path::new("-")).then(|| Document::read(file).ok()).flatten();
    document.is_some_and(|d| {
        d.root.find(&["pipeline"]).is_none() && ["data", "export"].iter().any(|key| d.root.find(&[key]).is_some())
    })
}

/// Checks a recipe, and unless `fast` also the pictures and the model that it names.
///
/// # Errors
/// What is wrong with them.
pub fn check(file: &Path, global: &Global, fast: bool) -> Result<String> {
    let written = Written::read(file, &[])?;
    if fast {
        return Ok(format!("{}: valid\n", file.display()));
    }
    let (models, drafts) =
        (models(&written, global), tempfile::tempdir().map_err(|e| Error::io("temporary folder", e))?);
    let training = Training::new(written, &models, drafts.path().to_path_buf())?;
    training.name()?;
    let mut text = format!("{}: valid\n{}", file.display(), about(&training));
    training.set.notes.iter().for_each(|note| text.push_str(&format!("note: {note}\n")));
    for (what, trained, all) in training.plan()? {
        text.push_str(&format!("trains {what}: {trained} of {all} numbers\n"));
    }
    Ok(console::harmless(&text))
}

fn models(written: &Written, global: &Global) -> ModelStore {
    ModelStore::new(&global.models, &written.beside(Path::new(".")))
}

fn about(training: &Training) -> String {
    let set = &training.set;
    let (train, val, classes) = (set.train.len(), set.val.len(), set.classes.join(", "));
    format!("{train} training pictures, {val} validation pictures; {} classes: {classes}\n", set.classes.len())
}

fn judge_dry_run(metric: f64, name: &str) -> Result<()> {
    if metric >= 0.95 {
        return say(&format!(
            "8 pictures are learnt by heart ({name} {}): data and model fit each other\n",
            shown(Some(metric))
        ));
    }
    Err(Error::Differs(format!(
        "8 pictures are not learnt by heart ({name} {}): look at the labels with `ocelli data check`, or train more layers",
        shown(Some(metric))
    )))
}

/// Tells people how a training goes.
#[derive(Default)]
struct Teller {
    bar: Option<ProgressBar>,
}

impl Teller {
    fn tell(&mut self, event: &Event<'_>) {
        match event {
            Event::Phase(phase) => console::say(&describe(phase)),
            Event::Note(note) => console::say(note),
            Event::Step(step) => {
                let bar = self.bar.get_or_insert_with(|| {
                    let bar = progress::counted(step.batch.1 * step.epoch.1, "steps");
                    bar.set_position(step.batch.1 * step.epoch.0);
                    bar.reset_eta();
                    console::set_bar(Some(bar.clone()));
                    bar
                });
                let loss: f64 = step.loss.iter().map(|(_, value)| value).sum();
                let speed = step.speed.0 as f64 / step.speed.1.max(1e-9);
                bar.set_position(step.epoch.0 * step.batch.1 + step.batch.0);
                bar.set_message(format!("steps, loss {loss:.4}, rate {:.1e}, {speed:.0} pictures/s", step.rate));
            }
            Event::Epoch { row, metric, is_best } => {
                console::say(&epoch(row, metric, *is_best));
            }
        }
        if matches!(event, Event::Phase(_)) {
            self.clear();
        }
    }

    fn clear(&mut self) {
        console::set_bar(None);
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

fn describe(phase: &Phase) -> String {
    let time = humantime::format_duration(Duration::from_secs(phase.estimate.as_secs().max(1)));
    format!(
        "part {} of {}: {}, {} of {} numbers; {} operators are trained, {} frozen; {} epochs of {} steps, about {time}",
        phase.number.0 + 1,
        phase.number.1,
        phase.what,
        phase.numbers.0,
        phase.numbers.1,
        phase.nodes.0,
        phase.nodes.1,
        phase.epochs.0,
        phase.epochs.1
    )
}

fn epoch(row: &Row, metric: &str, is_best: bool) -> String {
    let list = |parts: &[(String, f64)]| {
        let all: Vec<String> = parts.iter().map(|(name, value)| format!("{name} {value:.4}")).collect();
        all.join(", ")
    };
    let measured = row.metric.map_or(String::new(), |value| format!("; {metric} {value:.4}"));
    let best = if is_best { ", the best so far" } else { "" };
    format!("epoch {}: loss {}; validation {}{measured}{best}", row.epoch + 1, list(&row.train), list(&row.val))
}
