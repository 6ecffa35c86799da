//! Plays a pipeline on recordings: the same YAML, with only sources and clock replaced.

use super::config::{Line, Pipeline, WhenFull};
use super::options::Options;
use super::settings::Settings;
use crate::error::{Error, Result};
use crate::host::ManualClock;
use crate::media::flight::{Begin, Entry, Flight};
use crate::sinks::SINKS;
use crate::sources::{Faults, Faulty, Recording, Start, Video};
use crate::stage::{Env, SinkConfig, SourceConfig};
use crate::yaml::{Node, nearest, one_of};
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The replacement of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The id of the source; `None` for the only one, or for all that the flight contains.
    pub source: Option<String>,
    /// A flight's folder, or a video.
    pub path: PathBuf,
    /// The id that the source had when the flight was recorded, if it was different.
    pub recorded: Option<String>,
}

/// How a pipeline is played.
#[derive(Clone, Default)]
pub struct Playback {
    /// The replacements of the sources.
    pub from: Vec<Origin>,
    /// The run of the flight; the last one if not given.
    pub run: Option<u64>,
    /// The number of frames of each source after which to stop.
    pub frames: Option<u64>,
    /// Whether each line drops the frames that it dropped when the flight was recorded.
    pub drops: bool,
    /// Faults to inject: into the source with the given id, or into the only source.
    pub faults: Vec<(Option<String>, Faults)>,
    /// The number of threads that work on one frame in each line with a model.
    pub threads: Option<usize>,
}

/// Which sinks are kept.
pub enum Sinks {
    /// All of them.
    All,
    /// Only one that writes rows: the `jsonl` line with this id, or the first one; added if there is none.
    Rows(Option<String>),
    /// Only the given sink, in place of the one that writes rows: the `jsonl` line with this id, or the first one.
    Instead(Option<String>, Box<dyn SinkConfig>),
}

impl Playback {
    /// Replaces sources with recordings. Full queues then block, whatever the YAML says, and the clock follows the
    /// frames. Returns the options of the run, and remarks that are worth knowing.
    ///
    /// # Errors
    /// [`Error::Config`] if the recordings do not fit the pipeline, [`Error::Data`] if they cannot be read.
    pub fn apply(&self, pipeline: &mut Pipeline, env: &mut Env) -> Result<(Options, Vec<String>)> {
        let mut options = Options { frames: self.frames, ..Options::default() };
        let mut notes = Vec::new();
        if !self.from.is_empty() {
            let clock = Arc::<ManualClock>::default();
            env.clock = clock.clone();
            options.clock = Some(clock);
            self.replace(pipeline, env, &mut options, &mut notes)?;
        }
        self.break_sources(pipeline)?;
        for line in &mut pipeline.lines {
            if let Some(queue) = &mut line.queue {
                queue.when_full = Some(WhenFull::Block);
            }
            if let (Settings::Stage(stage), Some(threads)) = (&mut line.settings, self.threads) {
                stage.set_threads(threads);
            }
        }
        Ok((options, notes))
    }

    fn replace(
        &self,
        pipeline: &mut Pipeline,
        env: &Env,
        options: &mut Options,
        notes: &mut Vec<String>,
    ) -> Result<()> {
        let sources: Vec<usize> = indices(pipeline, |part| matches!(part, Settings::Source(_)));
        let ids: Vec<String> = sources.iter().map(|&at| pipeline.lines[at].id.clone()).collect();
        if ids.is_empty() {
            // The check of the graph reports this.
            return Ok(());
        }
        let mut replaced: Vec<usize> = Vec::new();
        for origin in &self.from {
            let path = env.input_path(&origin.path.to_string_lossy());
            if !path.exists() {
                return Err(Error::Config(format!("{}: no such recording or video", path.display())));
            }
            let flight = Flight::is_one(&path).then(|| Flight::open(&path, self.run)).transpose()?;
            if path.is_dir() && flight.is_none() {
                return Err(Error::Data(format!("{}: no recording in it; `ocelli record` makes one", path.display())));
            }
            let targets: Vec<usize> = match &origin.source {
                Some(id) => vec![position(&ids, id)?],
                None if ids.len() == 1 => vec![0],
                None => {
                    (0..ids.len()).filter(|at| flight.as_ref().is_some_and(|f| knows(&f.begin, &ids[*at]))).collect()
                }
            };
            if targets.is_empty() {
                let message = format!("{}: name the source that it replaces: --from {}={0}", path.display(), ids[0]);
                return Err(Error::Config(message));
            }
            let mut names = HashMap::new();
            for target in targets {
                let line = &mut pipeline.lines[sources[target]];
                let (place, recorded) = self.source(&path, flight.as_ref(), origin, &line.id)?;
                names.insert(recorded, line.id.clone());
                line.settings = Settings::Source(place);
                replaced.push(target);
            }
            if let Some(flight) = &flight {
                compare(&flight.begin, pipeline, env, notes);
                if self.drops {
                    drops(flight, &names, pipeline, &mut options.drops, notes)?;
                }
            } else if self.drops || self.run.is_some() {
                let what = if self.drops { "drops" } else { "runs" };
                return Err(Error::Config(format!("{}: a video contains no {what}", path.display())));
            }
        }
        let mut known = HashSet::new();
        notes.retain(|note| known.insert(note.clone()));
        if let Some(missing) = (0..ids.len()).find(|at| !replaced.contains(at)) {
            let line = &pipeline.lines[sources[missing]];
            let live = matches!(&line.settings, Settings::Source(source) if source.is_live());
            if live {
                return Err(Error::Config(format!(
                    "`{}` is live and nothing replaces it; add --from {}=FOLDER-OR-CLIP",
                    line.id, line.id
                )));
            }
        }
        Ok(())
    }

    /// Returns the replacement of a source, and the id that the source had when it was recorded.
    fn source(
        &self,
        path: &Path,
        flight: Option<&Flight>,
        origin: &Origin,
        id: &str,
    ) -> Result<(Box<dyn SourceConfig>, String)> {
        let text = std::path::absolute(path).map_err(|e| Error::io(path, e))?.to_string_lossy().into_owned();
        let Some(flight) = flight else {
            let video = Video { path: text, frames: None, truth: None, start: Start::default() };
            return Ok((Box::new(video), id.to_owned()));
        };
        let ids: Vec<&str> = flight.begin.sources.iter().map(|source| source.id.as_str()).collect();
        // The only source of a flight fits any id.
        let source = match (&origin.recorded, ids.as_slice()) {
            (Some(recorded), _) if ids.contains(&recorded.as_str()) => recorded.clone(),
            (None, _) if ids.contains(&id) => id.to_owned(),
            (None, [only]) => (*only).to_owned(),
            (wanted, _) => {
                let wanted = wanted.as_deref().unwrap_or(id);
                return Err(Error::Config(format!(
                    "{}: contains no source `{wanted}`, only {}; choose one: --from {id}={0}#SOURCE",
                    path.display(),
                    one_of(ids)
                )));
            }
        };
        let recording = Recording::new(text, source.clone(), self.run);
        Ok((Box::new(recording), source))
    }

    fn break_sources(&self, pipeline: &mut Pipeline) -> Result<()> {
        let sources: Vec<usize> = indices(pipeline, |part| matches!(part, Settings::Source(_)));
        let ids: Vec<String> = sources.iter().map(|&at| pipeline.lines[at].id.clone()).collect();
        for (id, faults) in &self.faults {
            let at = match id {
                Some(id) => position(&ids, id)?,
                None if ids.len() == 1 => 0,
                None => {
                    return Err(Error::Config(format!(
                        "say which source gets the faults: {}",
                        one_of(ids.iter().map(String::as_str))
                    )));
                }
            };
            let line = &mut pipeline.lines[sources[at]];
            let nothing = Settings::Sink(Box::new(crate::sinks::Collect::new(|_| Ok(()))));
            if let Settings::Source(inner) = std::mem::replace(&mut line.settings, nothing) {
                line.settings =
                    Settings::Source(Box::new(Faulty { inner: inner.into(), faults: faults.clone(), as_live: true }));
            }
        }
        Ok(())
    }
}

impl Sinks {
    /// Removes sinks and returns their ids and words.
    ///
    /// # Errors
    /// [`Error::Config`] if there is no such sink.
    pub fn apply(self, pipeline: &mut Pipeline) -> Result<Vec<(String, String)>> {
        let wanted = match &self {
            Self::All => return Ok(Vec::new()),
            Self::Rows(id) | Self::Instead(id, _) => id.clone(),
        };
        let rows = |line: &Line| line.word == "jsonl";
        let found = pipeline
            .lines
            .iter()
            .position(|line| wanted.as_ref().map_or(rows(line), |id| rows(line) && line.id == *id));
        if let (Some(id), None) = (&wanted, found) {
            let known: Vec<&str> =
                pipeline.lines.iter().filter(|line| rows(line)).map(|line| line.id.as_str()).collect();
            return Err(Error::Config(format!("no `jsonl` line is called `{id}`; expected {}", one_of(known))));
        }
        let kept = found.map(|at| pipeline.lines[at].id.clone());
        let keeps = |line: &Line| !matches!(line.settings, Settings::Sink(_)) || Some(&line.id) == kept.as_ref();
        let taken = pipeline.lines.iter().filter(|line| !keeps(line));
        let taken = taken.map(|line| (line.id.clone(), line.word.to_string())).collect();
        pipeline.lines.retain(keeps);
        if kept.is_none() {
            let first = pipeline.lines.first().map(|line| line.place).unwrap_or_default();
            let part = SINKS.iter().find(|part| part.name == "jsonl");
            let part = part.ok_or_else(|| Error::Internal("no jsonl".into()))?;
            let sink = (part.read)(&Node::null()).map_err(|fault| Error::Internal(fault.message))?;
            pipeline.lines.push(Line::new("rows", "jsonl", Settings::Sink(sink), first));
        }
        if let Self::Instead(_, sink) = self
            && let Some(line) = pipeline.lines.iter_mut().find(|line| matches!(line.settings, Settings::Sink(_)))
        {
            line.settings = Settings::Sink(sink);
            line.every = None;
        }
        Ok(taken)
    }
}

fn indices(pipeline: &Pipeline, wanted: impl Fn(&Settings) -> bool) -> Vec<usize> {
    (0..pipeline.lines.len()).filter(|&at| wanted(&pipeline.lines[at].settings)).collect()
}

fn position(ids: &[String], id: &str) -> Result<usize> {
    ids.iter().position(|known| known == id).ok_or_else(|| {
        let hint = nearest(id, ids.iter().map(String::as_str));
        let hint = hint.map_or_else(
            || format!("expected {}", one_of(ids.iter().map(String::as_str))),
            |near| format!("did you mean `{near}`?"),
        );
        Error::Config(format!("the pipeline has no source `{id}`; {hint}"))
    })
}

fn knows(begin: &Begin, id: &str) -> bool {
    begin.sources.iter().any(|source| source.id == id)
}

/// Adds notes about what has changed since the flight was recorded.
fn compare(begin: &Begin, pipeline: &Pipeline, env: &Env, notes: &mut Vec<String>) {
    for line in &pipeline.lines {
        let Settings::Stage(stage) = &line.settings else { continue };
        let Ok(Some((name, _))) = stage.takes_input(env) else { continue };
        let Ok(card) = env.models.card(&name) else { continue };
        let then = begin.models.iter().find(|(known, _)| *known == name);
        if then.is_some_and(|(_, hash)| *hash != card.fields.model.sha256) {
            notes.push(format!("model `{name}` has changed since this was recorded"));
        }
    }
    let cpu = crate::host::cpu_class();
    if begin.cpu != cpu {
        notes.push(format!(
            "recorded on another kind of processor ({}, here {cpu}): scores may differ in the last digits",
            begin.cpu
        ));
    }
}

/// Reads which frames each line dropped, by the current ids of the sources.
fn drops(
    flight: &Flight,
    names: &HashMap<String, String>,
    pipeline: &Pipeline,
    found: &mut HashMap<String, HashMap<String, HashSet<u64>>>,
    notes: &mut Vec<String>,
) -> Result<()> {
    let (mut entries, mut payload, mut unknown) = (flight.entries(), Vec::new(), 0u64);
    while let Some(entry) = entries.next_entry(&mut payload)? {
        match entry {
            Entry::Drop { line, source, seq, .. } => {
                let Some(source) = names.get(&source) else { continue };
                found.entry(line).or_default().entry(source.clone()).or_default().insert(seq);
            }
            Entry::Missed { drops, .. } => unknown = unknown.saturating_add(drops),
            _ => {}
        }
    }
    for id in found.keys().filter(|id| !pipeline.lines.iter().any(|line| line.id == **id)) {
        notes.push(format!("`{id}` dropped frames when this was recorded, but is not in this pipeline"));
    }
    if unknown > 0 {
        notes.push(format!(
            "the recording does not say which {unknown} frames were dropped: there may be more rows than in the live run"
        ));
    }
    Ok(())
}
