//! What was measured: as a table, as JSON for others, and beside an earlier measurement.

use super::machine::{Machine, process_cpu};
use crate::error::{Error, Result};
use crate::eval::report::table;
use crate::host::{Board, LineCounters, Role};
use crate::pipeline::{Options, Pace, Plan, Play, Playback, Settings};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// The rounds so far.
#[derive(Default)]
pub struct Rounds(Vec<Round>);

struct Round {
    fps: f64,
    late: f64,
    seconds: f64,
    frames: u64,
    other_cpu: f64,
    lines: Vec<LineBench>,
}

/// A bench, as its JSON file holds it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Bench {
    /// Version of the program.
    pub ocelli: String,
    /// The machine.
    pub machine: Machine,
    /// The pipeline's file, and the SHA-256 of its text.
    pub pipeline: String,
    /// The SHA-256 of its text.
    pub pipeline_sha256: String,
    /// Models and the SHA-256 of each.
    pub models: Vec<(String, String)>,
    /// The rate that was asked for.
    pub rate: Option<f64>,
    /// How late the last frame of the latest source was then, in seconds.
    pub late: f64,
    /// What took the sources' places: paths as they were given.
    pub from: Vec<String>,
    /// Threads a frame, if they were set.
    pub threads: Option<u64>,
    /// Frames of all sources.
    pub frames: u64,
    /// Seconds of the round that counts: the one in the middle.
    pub seconds: f64,
    /// Frames a second of that round.
    pub fps: f64,
    /// Frames a second of every round.
    pub rounds: Vec<f64>,
    /// The line that holds the others up.
    pub bottleneck: String,
    /// Processor time of threads that are no line's, as a share of one processor.
    pub other_cpu: f64,
    /// Line by line.
    pub lines: Vec<LineBench>,
}

/// A line's numbers. Times in milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LineBench {
    /// Its id.
    pub id: String,
    /// Its word.
    pub word: String,
    /// Packets it worked on.
    pub packets: u64,
    /// Half of the packets took no longer.
    pub p50: f64,
    /// Nine of ten.
    pub p90: f64,
    /// 99 of 100.
    pub p99: f64,
    /// Half of the packets waited no longer in its queue.
    pub wait_p50: f64,
    /// Nine of ten.
    pub wait_p90: f64,
    /// Share of the time in which it worked, waiting for disks included.
    pub busy: f64,
    /// Processor time of its thread, as a share of one processor.
    pub cpu: f64,
    /// Allocations of its thread a packet.
    pub allocations: f64,
}

impl LineBench {
    fn new(line: &LineCounters, elapsed: Duration) -> Self {
        let packets = line.worked();
        let share = |time: Duration| time.as_secs_f64() / elapsed.as_secs_f64().max(1e-9);
        Self {
            id: line.id.to_string(),
            word: line.word.to_owned(),
            packets,
            p50: line.quantile_ms(0.5),
            p90: line.quantile_ms(0.9),
            p99: line.quantile_ms(0.99),
            wait_p50: line.wait_quantile_ms(0.5),
            wait_p90: line.wait_quantile_ms(0.9),
            busy: share(line.busy()),
            cpu: share(Duration::from_micros(line.cpu_micros.load(Relaxed))),
            allocations: line.allocations.load(Relaxed) as f64 / packets.max(1) as f64,
        }
    }
}

impl Rounds {
    /// Plays a pipeline once, with frames at a rate if one is given, and adds what was measured.
    ///
    /// # Errors
    /// What does not fit, or what ended the run.
    pub fn play(&mut self, plan: Plan<'_>, rate: Option<f64>) -> Result<Play> {
        let file = plan.file;
        let mut play = Play::prepare(plan)?;
        play.options = Options { pace: rate.map(Pace::Rate), ..play.options };
        let run = play.start()?;
        // From here on: what loading models took is not asked for.
        let cpu = process_cpu();
        let outcome = run.wait();
        let spent = process_cpu().saturating_sub(cpu);
        if let Err(error) = outcome.result {
            return Err(error.at(file.display()));
        }
        self.add(&outcome.board, outcome.elapsed, spent);
        Ok(play)
    }

    fn add(&mut self, board: &Board, elapsed: Duration, cpu: Duration) {
        let lines: Vec<LineBench> = board.lines.iter().map(|line| LineBench::new(line, elapsed)).collect();
        let sources = board.lines.iter().filter(|line| line.role == Role::Source);
        let frames: u64 = sources.map(|line| line.worked()).sum();
        let seconds = elapsed.as_secs_f64().max(1e-9);
        let own: f64 = lines.iter().map(|line| line.cpu).sum();
        let other_cpu = (cpu.as_secs_f64() / seconds - own).max(0.0);
        let late = board.lines.iter().map(|line| line.late_micros.load(Relaxed)).max().unwrap_or(0) as f64 / 1e6;
        self.0.push(Round { fps: frames as f64 / seconds, late, seconds, frames, other_cpu, lines });
    }

    /// The round in the middle counts.
    ///
    /// # Errors
    /// [`Error::Model`] if a card is gone meanwhile.
    pub fn bench(mut self, file: &Path, play: &Play, playback: &Playback, rate: Option<f64>) -> Result<Bench> {
        let rounds = self.0.iter().map(|round| round.fps).collect();
        self.0.sort_by(|a, b| a.fps.total_cmp(&b.fps));
        // Of two in the middle the slower one.
        let middle = (self.0.len() - 1) / 2;
        let round = self.0.swap_remove(middle);
        let slowest = round.lines.iter().max_by(|a, b| a.busy.total_cmp(&b.busy));
        let bottleneck = slowest.map_or(String::new(), |line| line.id.clone());
        let mut models = Vec::new();
        for line in play.checked.lines() {
            if let Settings::Stage(stage) = &line.settings
                && let Some((name, _)) = stage.takes_input(play.checked.env())?
            {
                models.push((name.clone(), play.checked.env().models.card(&name)?.fields.model.sha256));
            }
        }
        let hash = Sha256::digest(play.checked.document().text.as_bytes());
        Ok(Bench {
            ocelli: env!("CARGO_PKG_VERSION").into(),
            machine: Machine::here(),
            pipeline: file.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            pipeline_sha256: hash.iter().map(|byte| format!("{byte:02x}")).collect(),
            models,
            rate,
            late: round.late,
            from: playback.from.iter().map(|origin| origin.path.display().to_string()).collect(),
            threads: playback.threads.map(|threads| threads as u64),
            frames: round.frames,
            seconds: round.seconds,
            fps: round.fps,
            rounds,
            bottleneck,
            other_cpu: round.other_cpu,
            lines: round.lines,
        })
    }
}

impl Bench {
    /// Reads what `--json` wrote.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Data`].
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, e))?;
        serde_json::from_str(&text).map_err(|e| Error::Data(format!("{}: no bench of ocelli: {e}", path.display())))
    }

    /// For others.
    ///
    /// # Errors
    /// None that can happen.
    pub fn json(&self) -> Result<String> {
        let text = serde_json::to_string_pretty(self).map_err(|e| Error::Internal(e.to_string()))?;
        Ok(text + "\n")
    }

    /// For people.
    pub fn text(&self) -> String {
        let head =
            ["line", "packets", "p50 ms", "p90 ms", "p99 ms", "wait p50", "wait p90", "busy", "cpu", "alloc/packet"];
        let percent = |share: f64| format!("{:.0}%", share * 100.0);
        let row = |line: &LineBench| {
            let times = [line.p50, line.p90, line.p99, line.wait_p50, line.wait_p90].map(|ms| format!("{ms:.2}"));
            let mut row = vec![line.id.clone(), line.packets.to_string()];
            row.extend(times);
            row.extend([percent(line.busy), percent(line.cpu), format!("{:.1}", line.allocations)]);
            row
        };
        let mut text = table(&head, &self.lines.iter().map(row).collect::<Vec<_>>());
        let Machine { name, cpu, cores, kernel, governor, temperature, .. } = &self.machine;
        if self.other_cpu > 0.02 {
            let _ = writeln!(text, "other threads: {} of a processor", percent(self.other_cpu));
        }
        let rounds: Vec<String> = self.rounds.iter().map(|fps| format!("{fps:.1}")).collect();
        let _ = writeln!(
            text,
            "{:.1} frames/s ({} frames in {:.2} s; rounds: {})",
            self.fps,
            self.frames,
            self.seconds,
            rounds.join(", ")
        );
        let slowest = self.lines.iter().find(|line| line.id == self.bottleneck);
        let busy = slowest.map_or(0.0, |line| line.busy);
        match self.rate {
            // Late by more than a frame and what a busy system may take now and then: it fell behind.
            Some(rate) if self.late < 1.0 / rate + 0.05 => {
                let busiest = format!("the busiest line is `{}` ({})", self.bottleneck, percent(busy));
                let _ = writeln!(text, "keeps up with {rate} frames/s; {busiest}");
            }
            Some(rate) => {
                let slow = format!("`{}` holds it up ({} busy)", self.bottleneck, percent(busy));
                let late = self.late;
                let _ = writeln!(
                    text,
                    "does not keep up with {rate} frames/s: the last frame came {late:.1} s late; {slow}"
                );
            }
            None => _ = writeln!(text, "`{}` holds it up: it works {} of the time", self.bottleneck, percent(busy)),
        }
        let degrees = temperature.map_or(String::new(), |degrees| format!(", {degrees:.0} C"));
        let _ = writeln!(text, "{name}, {cores} cores, {cpu}, Linux {kernel}, governor {governor}{degrees}");
        text
    }

    /// Ratios to an earlier bench: above 1 is faster here.
    pub fn compared(&self, before: &Self) -> String {
        let ratio = |then: f64, now: f64| if now > 0.0 { format!("{:.2}x", then / now) } else { "-".into() };
        let row = |line: &LineBench| {
            let then = before.lines.iter().find(|other| other.id == line.id)?;
            Some(vec![
                line.id.clone(),
                format!("{:.2}", then.p50),
                format!("{:.2}", line.p50),
                ratio(then.p50, line.p50),
                ratio(then.p99, line.p99),
            ])
        };
        let rows: Vec<_> = self.lines.iter().filter_map(row).collect();
        let mut text = table(&["line", "p50 then", "p50 now", "faster p50", "faster p99"], &rows);
        if self.rate.is_none() && before.rate.is_none() {
            let faster = ratio(self.fps, before.fps);
            let _ = writeln!(text, "throughput: {:.1} then, {:.1} now: {faster}", before.fps, self.fps);
        }
        let _ = writeln!(text, "then: {}, {}, ocelli {}", before.machine.name, before.machine.cpu, before.ocelli);
        let others = [
            ("the pipeline", before.pipeline_sha256 != self.pipeline_sha256),
            ("a model", before.models != self.models),
            ("the rate", before.rate != self.rate),
            ("the recording", before.from != self.from || before.frames != self.frames),
            ("the number of threads", before.threads != self.threads),
        ];
        let others: Vec<&str> = others.iter().filter(|(_, other)| *other).map(|(what, _)| *what).collect();
        if !others.is_empty() {
            let _ = writeln!(text, "not the same thing measured: another is {}", others.join(", "));
        }
        text
    }
}
