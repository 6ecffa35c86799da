//! Finds out which line reads from which, and whether each line gets what it needs.

use super::config::{Line, Pipeline, WhenFull};
use super::settings::Settings;
use crate::error::Error;
use crate::infer::InputForm;
use crate::stage::{Disk, Env, Outputs};
use crate::types::{Products, Size};
use crate::yaml::{Fault, nearest};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A line in the graph; same index as in [`Pipeline::lines`].
#[derive(Clone, Debug, Default)]
pub struct Node {
    /// The lines it reads from.
    pub inputs: Vec<usize>,
    /// The lines that read from it.
    pub readers: Vec<usize>,
    /// Whether a live source is somewhere above it.
    pub live: bool,
    /// Whether a failure costs only the frame, not the run.
    pub forgives: bool,
    /// What its packets carry besides the frame.
    pub carries: Products,
    /// The number of packets that may wait in front of it.
    pub capacity: usize,
    /// What happens when the queue is full.
    pub when_full: WhenFull,
    /// The size of the frames that reach it, if known.
    pub frame: Option<Size>,
    /// The model input that reaches it, if known.
    pub input: Option<InputForm>,
}

impl Node {
    /// The number of frames it may hold: those that wait on each edge, and the one being processed, or one of each
    /// stream for a merge.
    fn frames_held(&self) -> usize {
        self.inputs.len() * self.capacity + self.inputs.len().max(1)
    }
}

/// A checked pipeline.
#[derive(Clone, Debug)]
pub struct Graph {
    /// One node per line.
    pub nodes: Vec<Node>,
    /// Remarks that are worth knowing but are not faults.
    pub notes: Vec<String>,
}

impl Graph {
    /// Checks a pipeline without opening a device.
    ///
    /// # Errors
    /// All faults that were found.
    pub(super) fn of(pipeline: &Pipeline, env: &Env) -> Result<Self, Vec<Fault>> {
        let mut builder = Builder { pipeline, env, nodes: Vec::new(), faults: Vec::new(), notes: Vec::new() };
        for index in 0..pipeline.lines.len() {
            let node = builder.node(index);
            for &input in &node.inputs {
                builder.nodes[input].readers.push(index);
            }
            builder.nodes.push(node);
        }
        builder.check_ends();
        builder.check_files();
        builder.check_disk();
        builder.check_overlaps();
        let Builder { nodes, faults, notes, .. } = builder;
        if !faults.is_empty() {
            return Err(faults);
        }
        let mut graph = Self { nodes, notes };
        for (index, line) in pipeline.lines.iter().enumerate() {
            if graph.merges_with_buffer(index) {
                let holds = |at: &&usize| matches!(&pipeline.lines[**at].settings, Settings::Stage(stage) if stage.holds_back());
                let holder = graph.above(index).iter().find(holds).map(|&at| &pipeline.lines[at].id);
                let bound = match (holder, graph.buffered(index)) {
                    (Some(holder), _) => format!("without a bound, because `{holder}` may hold packets back"),
                    (None, Some(most)) => format!("at most {most}"),
                    (None, None) => "without a bound: it merges more than the branches of one source".to_owned(),
                };
                graph.notes.push(format!(
                    "`{}`: buffers packets when one of its streams is ahead of another, {bound}",
                    line.id
                ));
            }
        }
        Ok(graph)
    }

    /// The lines above a line.
    fn above(&self, index: usize) -> BTreeSet<usize> {
        let mut all = BTreeSet::new();
        for &input in &self.nodes[index].inputs {
            all.insert(input);
            all.extend(self.above(input));
        }
        all
    }

    /// The maximum number of packets that a line keeps aside because one of its streams is ahead of another: those that
    /// the lines above it still hold, and one. There is no bound if those streams have several sources, or were merged
    /// before: then one may be ahead by any number.
    #[must_use]
    pub fn buffered(&self, index: usize) -> Option<usize> {
        if !self.merges_with_buffer(index) {
            return Some(0);
        }
        let above = self.above(index);
        let sources = above.iter().filter(|&&at| self.nodes[at].inputs.is_empty()).count();
        let merged = above.iter().any(|&at| self.nodes[at].inputs.len() > 1);
        let held = above.iter().map(|&at| self.nodes[at].frames_held()).sum::<usize>();
        (sources == 1 && !merged).then_some(1 + held)
    }

    /// Whether a line, or one below it, must know how far a stream is that skips packets.
    #[must_use]
    pub fn takes_ticks(&self, index: usize) -> bool {
        let node = &self.nodes[index];
        self.merges_with_buffer(index)
            || (node.inputs.len() == 1 && node.readers.iter().any(|&reader| self.takes_ticks(reader)))
    }

    /// Returns the maximum number of bytes of the frames, model inputs, canvases and masks that are queued or being
    /// processed, if all sizes are known.
    #[must_use]
    pub fn memory_bound_bytes(&self) -> Option<u64> {
        let mut sum = 0;
        for (index, node) in self.nodes.iter().enumerate() {
            let frame = node.frame?.pixels() as u64 * 3;
            let canvas = if node.carries.contains(Products::CANVAS) { frame } else { 0 };
            let mask = if node.carries.contains(Products::MASK) { frame / 3 } else { 0 };
            let input = node.input.map_or(0, |form| form.size.pixels() as u64 * 3);
            sum += (node.frames_held() + self.buffered(index).unwrap_or(0)) as u64 * (frame + canvas + mask + input);
        }
        Some(sum)
    }

    /// Returns the maximum number of frames that are queued or being processed.
    #[must_use]
    pub fn frames_bound(&self) -> usize {
        (0..self.nodes.len()).map(|at| self.nodes[at].frames_held() + self.buffered(at).unwrap_or(0)).sum()
    }

    /// Returns whether a line merges recorded streams that could block each other: a line above it has several readers,
    /// so waiting for one stream may hold up the other. The line then buffers the packets of the stream that is ahead.
    #[must_use]
    pub fn merges_with_buffer(&self, index: usize) -> bool {
        let node = &self.nodes[index];
        node.inputs.len() > 1 && !node.live && node.when_full == WhenFull::Block && self.has_fork_above(index)
    }

    fn has_fork_above(&self, index: usize) -> bool {
        let fork = |&input: &usize| self.nodes[input].readers.len() > 1 || self.has_fork_above(input);
        self.nodes[index].inputs.iter().any(fork)
    }
}

struct Builder<'a> {
    pipeline: &'a Pipeline,
    env: &'a Env,
    nodes: Vec<Node>,
    faults: Vec<Fault>,
    notes: Vec<String>,
}

impl Builder<'_> {
    fn fault(&mut self, line: &Line, message: impl Into<String>) {
        self.faults.push(Fault::new(line.place, message));
    }

    /// Reports an error from a part's own check at its line, without the values of `${…}`.
    fn part_fault(&mut self, line: &Line, error: &Error) {
        let mut message = format!("`{}`: {error}", line.word);
        for secret in line.secrets.iter().filter(|secret| !secret.is_empty()) {
            message = message.replace(secret.as_str(), "${…}");
        }
        self.fault(line, message);
    }

    fn node(&mut self, index: usize) -> Node {
        let line = &self.pipeline.lines[index];
        if let Settings::Source(source) = &line.settings {
            if let Err(error) = source.check(self.env) {
                self.part_fault(line, &error);
            }
            let frame = source.frame_size(self.env);
            let (live, forgives) = (source.is_live(), source.forgives(self.env));
            return Node { live, forgives, carries: source.gives(self.env), frame, ..Node::default() };
        }
        let inputs = self.inputs(index);
        let mut node = self.inherit(&inputs);
        node.inputs = inputs;
        let queue = line.queue;
        node.when_full =
            queue.and_then(|q| q.when_full).unwrap_or(if node.live { WhenFull::DropOldest } else { WhenFull::Block });
        node.capacity = queue.and_then(|q| q.capacity).unwrap_or(if node.live { 1 } else { 2 });
        if line.deadline.is_some() && !node.live {
            self.notes
                .push(format!("`{}`: `deadline` has no effect on a recorded stream: its frames do not age", line.id));
        }
        if node.when_full == WhenFull::DropOldest && !node.live {
            self.notes.push(format!("`{}`: `drop_oldest` on a recorded stream: two runs may differ", line.id));
        }
        let (needs, gives) = match &line.settings {
            Settings::Stage(stage) => (stage.needs(), stage.gives()),
            Settings::Sink(sink) => (sink.needs(), Products::empty()),
            Settings::Source(_) => (Products::empty(), Products::empty()),
        };
        if !node.inputs.is_empty() {
            for (noun, giver) in needs.difference(node.carries).nouns_and_givers() {
                let message = format!(
                    "`{}` needs {noun}, which no line above it produces; put a `{giver}` line above it",
                    line.word
                );
                self.fault(line, message);
            }
            if let Settings::Stage(stage) = &line.settings
                && !stage.needs_any().is_empty()
                && !stage.needs_any().intersects(node.carries)
                && !needs.intersects(node.carries)
            {
                let givers = stage.needs_any().nouns_and_givers().map(|(_, giver)| giver);
                let message = format!(
                    "`{}` has no results to work on: no line above it finds anything; put one of these above it: {}",
                    line.word,
                    crate::yaml::one_of(givers)
                );
                self.fault(line, message);
            }
        }
        self.check_part(line, &mut node);
        node.carries |= gives;
        node
    }

    fn check_part(&mut self, line: &Line, node: &mut Node) {
        match &line.settings {
            Settings::Stage(stage) => {
                if let Err(error) = stage.check(self.env) {
                    return self.part_fault(line, &error);
                }
                match stage.takes_input(self.env) {
                    Ok(Some((model, wants))) => {
                        // Every stream of a merge must fit.
                        let above = node.inputs.iter().map(|&input| self.nodes[input].input);
                        let differs = above.flatten().map(|given| wants.differences(&given));
                        if let Some(differs) = differs.into_iter().find(|differs| !differs.is_empty()) {
                            let (wants, gives): (Vec<_>, Vec<_>) = differs.into_iter().unzip();
                            let message = format!(
                                "`{}` model `{model}` takes {}, but `resize` produces {}; write `resize: {{ for: {model} }}`",
                                line.word,
                                wants.join(", "),
                                gives.join(", ")
                            );
                            self.fault(line, message);
                        }
                    }
                    Ok(None) => {}
                    Err(error) => self.part_fault(line, &error),
                }
                match stage.makes_input(self.env) {
                    Ok(Some(size)) => node.input = Some(size),
                    Ok(None) => {}
                    Err(error) => self.part_fault(line, &error),
                }
            }
            Settings::Sink(sink) => {
                if let Err(error) = sink.check(self.env) {
                    self.part_fault(line, &error);
                }
            }
            Settings::Source(_) => {}
        }
    }

    /// Returns the lines that a line reads from.
    fn inputs(&mut self, index: usize) -> Vec<usize> {
        let line = &self.pipeline.lines[index];
        let gives = |other: &Line| !matches!(other.settings, Settings::Sink(_));
        if line.from.is_empty() {
            let nearest = (0..index).rev().find(|&other| gives(&self.pipeline.lines[other]));
            if nearest.is_none() {
                self.fault(
                    line,
                    format!(
                        "`{}` has nothing to read; put a source such as `- video: {{ path: … }}` above it",
                        line.word
                    ),
                );
            }
            return nearest.into_iter().collect();
        }
        let mut inputs: Vec<usize> = Vec::new();
        for (id, place) in &line.from {
            let found = self.pipeline.lines.iter().position(|other| other.id == *id);
            let message = match found {
                Some(at) if at == index => format!("`{id}` cannot read from itself"),
                Some(at) if at > index => format!("`{id}` is further down; a line reads only from lines above it"),
                Some(at) if !gives(&self.pipeline.lines[at]) => {
                    format!("`{id}` is a sink and produces no packets; read from the line that it reads from")
                }
                Some(at) if inputs.contains(&at) => format!("`{id}` appears twice after `from`"),
                Some(at) => {
                    inputs.push(at);
                    continue;
                }
                None => {
                    let ids =
                        self.pipeline.lines[..index].iter().filter(|other| gives(other)).map(|other| other.id.as_str());
                    let hint = nearest(id, ids)
                        .map_or_else(|| "name a line above".to_owned(), |near| format!("did you mean `{near}`?"));
                    format!("no line is called `{id}`; {hint}")
                }
            };
            self.faults.push(Fault::new(*place, message));
        }
        inputs
    }

    /// Returns what a line gets from the lines it reads from; if there are several, only what all of them provide.
    fn inherit(&self, inputs: &[usize]) -> Node {
        let mut node =
            Node { carries: if inputs.is_empty() { Products::empty() } else { Products::all() }, ..Node::default() };
        for (order, &input) in inputs.iter().enumerate() {
            let above = &self.nodes[input];
            node.carries &= above.carries;
            node.live |= above.live;
            node.forgives |= above.forgives;
            node.frame = above.frame.filter(|_| order == 0 || node.frame == above.frame);
            node.input = above.input.filter(|_| order == 0 || node.input == above.input);
        }
        node
    }

    /// Checks that no sink writes a file that a source reads or another sink writes.
    fn check_files(&mut self) {
        let whole = |path: PathBuf| path.canonicalize().or_else(|_| std::path::absolute(&path)).unwrap_or(path);
        let mut used: Vec<(PathBuf, &str)> = Vec::new();
        for line in &self.pipeline.lines {
            let paths = match &line.settings {
                Settings::Source(source) => source.reads(self.env).into_iter().map(whole).collect(),
                // The file it really writes, which may differ from the one in the YAML.
                Settings::Sink(sink) => match (sink.writes(), &self.env.outputs) {
                    (Some(path), Outputs::Named | Outputs::Base(_)) if path == Path::new("-") => vec![path],
                    (Some(path), outputs @ (Outputs::Named | Outputs::Base(_) | Outputs::Folder(_))) => {
                        vec![whole(outputs.path(&path.to_string_lossy()))]
                    }
                    (_, Outputs::Rows(_)) | (None, _) => Vec::new(),
                },
                Settings::Stage(_) => Vec::new(),
            };
            for path in paths {
                if matches!(line.settings, Settings::Sink(_)) {
                    // Any number of sinks may write to the null device.
                    let other = used.iter().find(|(known, _)| *known == path && path != Path::new("/dev/null"));
                    if let Some((_, other)) = other {
                        let message =
                            format!("`{}` writes to a file that `{other}` also uses; give it another `path`", line.id);
                        self.faults.push(Fault::new(line.place, message));
                    }
                }
                used.push((path, &line.id));
            }
        }
    }

    /// Remarks on detections that go out as the model makes them: several boxes for each object.
    fn check_overlaps(&mut self) {
        let word = |at: usize| self.pipeline.lines[at].word;
        let mut told = BTreeSet::new();
        for (sink, line) in self.pipeline.lines.iter().enumerate() {
            if !matches!(line.settings, Settings::Sink(_)) {
                continue;
            }
            let mut open = self.nodes[sink].inputs.clone();
            while let Some(at) = open.pop() {
                match word(at) {
                    "detect" if told.insert(at) => self.notes.push(format!(
                        "`{}`: `{}` gets its boxes without `nms`, so several for each object; add `- nms` below it",
                        self.pipeline.lines[at].id, line.id
                    )),
                    "detect" | "nms" => {}
                    _ => open.extend(&self.nodes[at].inputs),
                }
            }
        }
    }

    /// Remarks on live sinks that would fill the disk, or that replace a file that exists.
    fn check_disk(&mut self) {
        if matches!(self.env.outputs, Outputs::Rows(_)) {
            return;
        }
        for (line, _) in self.pipeline.lines.iter().zip(&self.nodes).filter(|(_, node)| node.live) {
            let Settings::Sink(sink) = &line.settings else { continue };
            let path = sink.writes().map(|path| self.env.outputs.path(&path.to_string_lossy()));
            match sink.disk(true) {
                Disk::Unbounded(remedy) => {
                    self.notes.push(format!("`{}`: its files grow until the disk is full; {remedy}", line.id));
                }
                Disk::OneFile if path.as_ref().is_some_and(|path| path.exists()) => self.notes.push(format!(
                    "`{}`: replaces {}, which exists",
                    line.id,
                    path.unwrap_or_default().display()
                )),
                Disk::OneFile | Disk::None | Disk::Most(_) => {}
            }
        }
    }

    /// Checks that the pipeline begins with a source and ends in sinks.
    fn check_ends(&mut self) {
        let lines = &self.pipeline.lines;
        let Some(last) = lines.last() else { return };
        if !lines.iter().any(|line| matches!(line.settings, Settings::Source(_)))
            && lines.iter().all(|line| !line.from.is_empty())
        {
            self.fault(&lines[0], "no line is a source; begin with one, such as `- video: { path: … }`");
        }
        if !lines.iter().any(|line| matches!(line.settings, Settings::Sink(_))) {
            self.fault(last, "no line is a sink, so the results go nowhere; end with one, such as `- jsonl`");
        }
        for (line, node) in lines.iter().zip(&self.nodes) {
            if node.readers.is_empty() && !matches!(line.settings, Settings::Sink(_)) {
                self.notes.push(format!("`{}`: no line reads its packets", line.id));
            }
        }
    }
}
