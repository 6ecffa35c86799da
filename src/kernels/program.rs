//! A chain of steps over one arena, and the builder that makes it.

use super::Isa;
use super::arena::{Arena, Buffer, place};
use super::copy::{copy, copy_levels};
use super::draft::Draft;
use super::loops::Loops;
use super::schedule::{chains, join, needed};
use super::step::{Spec, Step};
use super::strip::{Between, Member, Strip};
use super::team::{MOST, Team};
use super::view::{Map, View};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Collects buffers and steps.
pub struct Builder {
    isa: Isa,
    specs: Vec<Spec>,
    drafts: Vec<Draft>,
    constants: Vec<(usize, Vec<f32>)>,
    inputs: Vec<View>,
}

impl Builder {
    #[must_use]
    pub fn new(isa: Isa) -> Self {
        Self { isa, specs: Vec::new(), drafts: Vec::new(), constants: Vec::new(), inputs: Vec::new() }
    }

    /// A map `[1, C, H, W]` with its channels side by side, and rows and columns of zeros before and after it.
    pub fn map(&mut self, [channels, height, width]: [usize; 3], before: usize, after: usize) -> View {
        // Few channels stay together, so that the taps of a row are one run.
        let pixel = if channels <= 12 { channels } else { channels.next_multiple_of(16) };
        // The zeros behind a row are those before the next.
        let gap = before.max(after);
        let row = (width + gap) * pixel;
        let length = (before + height + after) * row + gap * pixel;
        let buffer = self.specs.len();
        self.specs.push(Spec { length, map: Some([channels, pixel, before, after]), height, width, levels: None });
        let strides = vec![length, 1, row, pixel];
        View { buffer, offset: before * row + before * pixel, sides: vec![1, channels, height, width], strides }
    }

    /// A map of levels, with rows and columns of `fill` before and after it.
    pub fn level_map(&mut self, [channels, height, width]: [usize; 3], before: usize, after: usize, fill: u8) -> View {
        let pixel = if channels <= 4 { channels } else { channels.next_multiple_of(16) };
        let gap = before.max(after);
        let row = (width + gap) * pixel;
        let length = (before + height + after) * row + gap * pixel;
        let buffer = self.specs.len();
        self.specs.push(Spec {
            length,
            map: Some([channels, pixel, before, after]),
            height,
            width,
            levels: Some(fill),
        });
        let strides = vec![length, 1, row, pixel];
        View { buffer, offset: before * row + before * pixel, sides: vec![1, channels, height, width], strides }
    }

    /// Levels that lie side by side in the order of their sides.
    pub fn level_list(&mut self, sides: &[usize]) -> View {
        let view = self.list(sides);
        self.specs[view.buffer].levels = Some(0);
        view
    }

    /// Whether a buffer holds levels.
    #[must_use]
    pub fn is_levels(&self, buffer: usize) -> bool {
        self.specs[buffer].levels.is_some()
    }

    /// Values that lie side by side in the order of their sides.
    pub fn list(&mut self, sides: &[usize]) -> View {
        let buffer = self.specs.len();
        let length = sides.iter().product();
        self.specs.push(Spec { length, map: None, height: 0, width: 0, levels: None });
        View::dense(buffer, sides)
    }

    /// Values that are the same in each run.
    pub fn constant(&mut self, sides: &[usize], values: Vec<f32>) -> View {
        let view = self.list(sides);
        self.constants.push((view.buffer, values));
        view
    }

    /// Declares the next input: where its values go.
    pub fn input(&mut self, view: &View) {
        self.inputs.push(view.clone());
    }

    /// Whether a map has at least this border of zeros around it.
    #[must_use]
    pub fn border_covers(&self, map: &Map, [before, after]: [usize; 2]) -> bool {
        self.specs[map.buffer].has_border(map, [before, after])
    }

    /// Whether the border of a map of levels holds this one.
    #[must_use]
    pub fn border_is(&self, map: &Map, zero: u8) -> bool {
        self.specs[map.buffer].levels == Some(zero)
    }

    /// Adds a step.
    pub fn step(&mut self, draft: Draft) {
        self.drafts.push(draft);
    }

    /// Whether nothing was added.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.drafts.is_empty()
    }

    /// Makes the program.
    ///
    /// # Errors
    /// A view outside its buffer or a step whose operands do not fit.
    pub fn finish(mut self, outputs: &[View]) -> Result<Program, String> {
        let is_end = |buffer: usize| {
            let end = |view: &View| view.buffer == buffer;
            outputs.iter().any(end) || self.inputs.iter().any(end) || self.constants.iter().any(|(of, _)| *of == buffer)
        };
        self.drafts = join(needed(self.drafts, outputs), &self.specs, is_end);
        let end = self.drafts.len() + 2;
        let mut buffers: Vec<Buffer> = self
            .specs
            .iter()
            .map(|spec| Buffer {
                length: spec.floats(),
                border: spec.kept(),
                levels: spec.levels.is_some(),
                from: usize::MAX,
                until: 0,
            })
            .collect();
        let mut touch = |buffer: usize, at: usize| {
            let buffer = &mut buffers[buffer];
            (buffer.from, buffer.until) = (buffer.from.min(at), buffer.until.max(at));
        };
        self.inputs.iter().for_each(|view| touch(view.buffer, 0));
        outputs.iter().for_each(|view| touch(view.buffer, end));
        for (buffer, _) in &self.constants {
            touch(*buffer, 0);
            touch(*buffer, end);
        }
        let chains = chains(&self.drafts, &self.specs, is_end);
        let mut inner: Vec<usize> = Vec::new();
        for (number, chain) in chains.iter().enumerate() {
            for at in chain.clone() {
                let (reads, write) = self.drafts[at].uses();
                // The steps of a strip run at the same time.
                reads.iter().chain([&write]).for_each(|buffer| touch(*buffer, number + 1));
                if at + 1 < chain.end {
                    inner.push(write);
                }
            }
        }
        // Rows of these lie in the scratch.
        inner.iter().for_each(|buffer| (buffers[*buffer].length, buffers[*buffer].border) = (0, None));
        for buffer in buffers.iter_mut().filter(|buffer| buffer.from > buffer.until) {
            // Nobody uses it.
            (buffer.from, buffer.length, buffer.border) = (buffer.until, 0, None);
        }
        let (mut places, length) = place(&buffers);
        // Of levels in bytes.
        for (place, spec) in places.iter_mut().zip(&self.specs) {
            *place *= if spec.levels.is_some() { 4 } else { 1 };
        }
        let fills = self
            .specs
            .iter()
            .zip(places.iter().zip(&buffers))
            .filter_map(|(spec, (place, buffer))| {
                let [_, _, before, after] = spec.map.filter(|_| buffer.length > 0)?;
                spec.levels.filter(|fill| *fill != 0 && before + after > 0).map(|fill| (*place, spec.length, fill))
            })
            .collect();
        let kinds = |views: &[View]| views.iter().map(|view| self.specs[view.buffer].levels.is_some()).collect();
        let (takes, gives) = (kinds(&self.inputs), kinds(outputs));
        let shift = |view: &View| -> Result<View, String> {
            let inside = view.volume() > 0 && view.end() <= self.specs[view.buffer].length;
            inside.then(|| view.shifted(places[view.buffer])).ok_or_else(|| format!("{view:?} lies outside its buffer"))
        };
        let inputs: Result<Vec<View>, String> = self.inputs.iter().map(shift).collect();
        let outputs: Result<Vec<View>, String> = outputs.iter().map(shift).collect();
        let ends = |views: &[View], write: bool| -> Result<Vec<Loops<2>>, String> {
            let one = |view: &View| {
                let dense = View::dense(0, &view.sides);
                let pair = if write { [view, &dense] } else { [&dense, view] };
                Loops::new(pair).ok_or_else(|| "a value has too many sides".to_owned())
            };
            views.iter().map(one).collect()
        };
        let (inputs, outputs) = (inputs?, outputs?);
        let sizes = outputs.iter().map(View::volume).collect();
        let (loads, reads) = (ends(&inputs, true)?, ends(&outputs, false)?);
        let lengths = inputs.iter().map(View::volume).collect();
        let constants = self.constants.into_iter().map(|(buffer, values)| (places[buffer], values)).collect();
        let name = |chain: &std::ops::Range<usize>| {
            let names: Vec<String> = self.drafts[chain.clone()].iter().map(Draft::name).collect();
            names.join(", ")
        };
        let names = chains.iter().map(name).collect();
        for buffer in inner {
            // So that a map begins at the base that its strip gives it.
            let written = self.drafts.iter().find_map(|draft| draft.written_map().filter(|map| map.buffer == buffer));
            places[buffer] = 0_usize.wrapping_sub(written.map_or(0, |map| map.offset));
        }
        let mut drafts = self.drafts.into_iter();
        let mut steps = Vec::new();
        for chain in chains {
            let members: Vec<Draft> = drafts.by_ref().take(chain.len()).collect();
            steps.push(if members.len() == 1 {
                let step = members.into_iter().map(|draft| draft.place(self.isa, &self.specs, &places)).next();
                step.unwrap_or_else(|| Err("no step".into()))?
            } else {
                strip(members, self.isa, &self.specs, &places)?
            });
        }
        let scratch = steps.iter().map(Step::scratch).max().unwrap_or(0).next_multiple_of(16);
        Ok(Program {
            isa: self.isa,
            steps,
            names,
            inputs,
            loads,
            lengths,
            reads,
            sizes,
            takes,
            gives,
            constants,
            fills,
            length,
            scratch,
        })
    }
}

/// Makes a strip.
fn strip(drafts: Vec<Draft>, isa: Isa, specs: &[Spec], places: &[usize]) -> Result<Step, String> {
    let mut between = Vec::new();
    for draft in &drafts[1..] {
        let (from, window) = draft.read_map().ok_or("a strip of other steps")?;
        let (row, margin) = specs[from.buffer].row().ok_or("a strip of lists")?;
        between.push(Between::new(from.height, row, margin, &window));
    }
    let height = drafts.last().and_then(Draft::written_map).map_or(0, |map| map.height);
    let members: Result<Vec<Member>, String> = drafts
        .into_iter()
        .map(|draft| match draft.place(isa, specs, places)? {
            Step::Conv(step) => Ok(Member::Conv(step)),
            Step::Depthwise(step) => Ok(Member::Depthwise(step)),
            Step::Pool(step) => Ok(Member::Pool(step)),
            _ => Err("a strip of other steps".to_owned()),
        })
        .collect();
    Ok(Step::Strip(Strip::new(members?, between, height)))
}

/// Steps with their weights and places. Sessions share it; each has its own [`Memory`].
pub struct Program {
    isa: Isa,
    steps: Vec<Step>,
    names: Vec<String>,
    inputs: Vec<View>,
    loads: Vec<Loops<2>>,
    lengths: Vec<usize>,
    reads: Vec<Loops<2>>,
    sizes: Vec<usize>,
    /// Whether inputs and outputs are levels.
    takes: Vec<bool>,
    gives: Vec<bool>,
    constants: Vec<(usize, Vec<f32>)>,
    /// Borders of maps of levels: where the map begins in bytes, its length, and what it is filled with.
    fills: Vec<(usize, usize, u8)>,
    length: usize,
    scratch: usize,
}

/// What a session needs to run a program: the arena, and room for each thread.
pub struct Memory {
    arena: Arena,
    scratch: Arena,
    threads: usize,
    /// In how many parts each step is done.
    parts: Vec<u8>,
}

/// The place of an input among the values of a program.
pub struct Room<'a, T> {
    pub values: &'a mut [T],
    /// Of the first value.
    pub first: usize,
    /// The distances of values along each side.
    pub strides: &'a [usize],
}

/// Products of floats, or four of bytes each, that one thread does in less than 0.1 ms.
const TINY: usize = 4_000_000;

/// A pointer that threads share; the steps see to it that they write different places.
#[derive(Clone, Copy)]
struct Shared(*mut f32);

// SAFETY: see above.
unsafe impl Sync for Shared {}

impl Shared {
    fn pointer(&self) -> *mut f32 {
        self.0
    }
}

impl Program {
    /// Memory for a run on so many threads.
    #[must_use]
    pub fn memory(&self, threads: usize) -> Memory {
        let mut arena = Arena::new(self.length);
        for (place, values) in &self.constants {
            arena.floats_mut()[*place..*place + values.len()].copy_from_slice(values);
        }
        for (place, length, fill) in &self.fills {
            // SAFETY: the buffer lies in the arena.
            unsafe { std::ptr::write_bytes(arena.pointer().cast::<u8>().add(*place), *fill, *length) };
        }
        let parts = threads.min(MOST) as u8;
        let parts = vec![parts; self.steps.len()];
        Memory { arena, scratch: Arena::new(self.scratch * threads), threads, parts }
    }

    /// Bytes of [`Program::memory`].
    #[must_use]
    pub fn bytes(&self, threads: usize) -> usize {
        (self.length + self.scratch * threads) * 4
    }

    /// Takes an input's values, in the order of its sides.
    ///
    /// # Panics
    /// If there is no such input, or it has another number of values.
    pub fn load(&self, memory: &mut Memory, input: usize, values: &[f32]) {
        assert_eq!(values.len(), self.lengths[input], "values of input {input}");
        assert!(!self.takes[input], "input {input} takes levels");
        // SAFETY: the loops were made for the arena and for this many values.
        unsafe { copy(&self.loads[input], memory.arena.pointer(), values.as_ptr(), 0, 1) };
    }

    /// Where an input goes, for those who write it there themselves.
    ///
    /// # Panics
    /// If it takes levels.
    pub fn room<'a>(&'a self, memory: &'a mut Memory, input: usize) -> Room<'a, f32> {
        assert!(!self.takes[input], "input {input} takes levels");
        let View { offset, strides, .. } = &self.inputs[input];
        Room { values: memory.arena.floats_mut(), first: *offset, strides }
    }

    /// Where an input of levels goes.
    ///
    /// # Panics
    /// If it takes floats.
    pub fn level_room<'a>(&'a self, memory: &'a mut Memory, input: usize) -> Room<'a, u8> {
        assert!(self.takes[input], "input {input} takes floats");
        let View { offset, strides, .. } = &self.inputs[input];
        Room { values: memory.arena.bytes_mut(), first: *offset, strides }
    }

    /// Gives an output's values, in the order of its sides.
    ///
    /// # Panics
    /// As [`Program::load`].
    pub fn read(&self, memory: &mut Memory, output: usize, values: &mut [f32]) {
        assert_eq!(values.len(), self.sizes[output], "values of output {output}");
        assert!(!self.gives[output], "output {output} gives levels");
        // SAFETY: as above.
        unsafe { copy(&self.reads[output], values.as_mut_ptr(), memory.arena.pointer(), 0, 1) };
    }

    /// Takes an input of levels, each changed by `flip`: 128 makes u8 of i8.
    ///
    /// # Panics
    /// As [`Program::load`].
    pub fn load_levels(&self, memory: &mut Memory, input: usize, levels: &[u8], flip: u8) {
        assert_eq!(levels.len(), self.lengths[input], "levels of input {input}");
        assert!(self.takes[input], "input {input} takes floats");
        // SAFETY: as above.
        unsafe { copy_levels(&self.loads[input], memory.arena.pointer().cast(), levels.as_ptr(), flip) };
    }

    /// Gives an output of levels, each changed by `flip`.
    ///
    /// # Panics
    /// As [`Program::load`].
    pub fn read_levels(&self, memory: &mut Memory, output: usize, levels: &mut [u8], flip: u8) {
        assert_eq!(levels.len(), self.sizes[output], "levels of output {output}");
        assert!(self.gives[output], "output {output} gives floats");
        // SAFETY: as above.
        unsafe { copy_levels(&self.reads[output], levels.as_mut_ptr(), memory.arena.pointer().cast(), flip) };
    }

    /// Whether an input takes levels.
    #[must_use]
    pub fn takes_levels(&self, input: usize) -> bool {
        self.takes[input]
    }

    /// Runs all steps, on the threads of a team of the size that the memory was made for; `false` if one panicked.
    ///
    /// # Panics
    /// If the sizes differ.
    pub fn run(&self, memory: &mut Memory, team: Option<&Team>) -> bool {
        assert_eq!(team.map_or(1, Team::size), memory.threads, "threads");
        let (arena, scratch) = (Shared(memory.arena.pointer()), Shared(memory.scratch.pointer()));
        let run = |step: usize, part: usize, thread: usize| {
            let mine = scratch.pointer().wrapping_add(thread * self.scratch);
            // SAFETY: every view was checked against an arena of this length; parts write different places.
            unsafe { self.steps[step].run(arena.pointer(), mine, part, usize::from(memory.parts[step])) }
        };
        match team {
            Some(team) => team.run(&memory.parts, &run),
            None => catch_unwind(AssertUnwindSafe(|| (0..self.steps.len()).for_each(|step| run(step, 0, 0)))).is_ok(),
        }
    }

    /// The name, the multiplications and the nanoseconds of each step of a run on one thread.
    #[must_use]
    pub fn profile(&self, memory: &mut Memory) -> Vec<(String, usize, u128)> {
        let (arena, scratch) = (memory.arena.pointer(), memory.scratch.pointer());
        let one = |(step, name): (&Step, &String)| {
            let start = std::time::Instant::now();
            // SAFETY: as of [`Program::run`].
            unsafe { step.run(arena, scratch, 0, 1) };
            (name.clone(), step.macs(), start.elapsed().as_nanos())
        };
        self.steps.iter().zip(&self.names).map(one).collect()
    }

    /// Multiplications of a run.
    #[must_use]
    pub fn macs(&self) -> usize {
        self.steps.iter().map(Step::macs).sum()
    }

    /// Multiplications of floats in a run.
    #[must_use]
    pub fn float_macs(&self) -> usize {
        let levels = |step: &&Step| matches!(step, Step::LevelConv(_) | Step::LevelDepthwise(_));
        self.steps.iter().filter(|step| !levels(step)).map(Step::macs).sum()
    }

    /// Whether one thread runs it before another wakes up.
    #[must_use]
    pub fn is_tiny(&self) -> bool {
        self.float_macs() + (self.macs() - self.float_macs()) / 4 < TINY
    }

    /// What each step is.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// The number of steps.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.steps.len()
    }

    /// The processor it was made for.
    #[must_use]
    pub fn isa(&self) -> Isa {
        self.isa
    }
}
