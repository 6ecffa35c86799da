//! The results of a bench: as a table, as JSON, and compared with an earlier bench.

use super::machine::{Machine, process_cpu};
use crate::error::{Error, Result};
use crate::eval::table::table;
use crate::host::{Board, LineCounters, Role};
use crate::pipeline::{Options, Pace, Plan, Play, Playback, Settings};
use crate::stage::threads_of;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// The rounds played so far.
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

/// The results of a bench, as stored in its JSON file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Bench {
    /// The version of the program.
    pub ocelli: String,
    /// The machine.
    pub machine: Machine,
    /// The name of the pipeline's file.
    pub pipeline: String,
    /// The SHA-256 of its text.
    pub pipeline_sha256: String,
    /// The models, and the SHA-256 of each.
    pub models: Vec<(String, String)>,
    /// The requested rate.
    pub rate: Option<f64>,
    /// How late the last frame was at that rate, in seconds; of the source that was latest.
    pub late: f64,
    /// What replaced the sources: paths as they were given.
    pub from: Vec<String>,
    /// Threads per frame, if set.
    pub threads: Option<u64>,
    /// The number of frames of all sources.
    pub frames: u64,
    /// The duration in seconds of the median round, whose numbers are reported.
    pub seconds: f64,
    /// Frames per second of that round.
    pub fps: f64,
    /// Frames per second of every round.
    pub rounds: Vec<f64>,
    /// The line that slows down the others.
    pub bottleneck: String,
    /// Processor time of threads that belong to no line, as a share of one processor.
    pub other_cpu: f64,
    /// The numbers of each line.
    pub lines: Vec<LineBench>,
}

/// A line's numbers. Times in milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LineBench {
    /// The line's id.
    pub id: String,
    /// The line's word.
    pub word: String,
    /// The number of packets it worked on.
    pub packets: u64,
    /// Median of the time per packet.
    pub p50: f64,
    /// 90th percentile of the time per packet.
    pub p90: f64,
    /// 99th percentile of the time per packet.
    pub p99: f64,
    /// Median of the time in its queue.
    pub wait_p50: f64,
    /// 90th percentile of the time in its queue.
    pub wait_p90: f64,
    /// Share of the time in which it worked, including waits for disks.
    pub busy: f64,
    /// Processor time of its thread, as a share of one processor.
    pub cpu: f64,
    /// Allocations of its thread per packet.
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
    /// Plays a pipeline once, at a rate if one is given, and adds the measurements.
    ///
    /// # Errors
    /// If the plan does not fit the pipeline, or if the run fails.
    pub fn play(&mut self, plan: Plan<'_>, rate: Option<f64>) -> Result<Play> {
        let file = plan.file;
        let mut play = Play::prepare(plan)?;
        play.options = Options { pace: rate.map(Pace::Rate), ..play.options };
        let run = play.start()?;
        // Measured from here on: loading models does not count.
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

    /// Returns the numbers of the median round.
    ///
    /// # Errors
    /// [`Error::Model`] if a card has disappeared.
    pub fn bench(mut self, file: &Path, play: &Play, playback: &Playback, rate: Option<f64>) -> Result<Bench> {
        let rounds = self.0.iter().map(|round| round.fps).collect();
        self.0.sort_by(|a, b| a.fps.total_cmp(&b.fps));
        // With an even number of rounds, the slower of the two in the middle.
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
    /// Reads a file that `--json` wrote.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Data`].
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, e))?;
        serde_json::from_str(&text)
            .map_err(|e| Error::Data(format!("{}: not written by `ocelli bench`: {e}", path.display())))
    }

    /// Returns the results as JSON.
    ///
    /// # Errors
    /// [`Error::Internal`] if they cannot be serialised, which never happens.
    pub fn json(&self) -> Result<String> {
        let text = serde_json::to_string_pretty(self).map_err(|e| Error::Internal(e.to_string()))?;
        Ok(text + "\n")
    }

    /// Returns the results as text for people.
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
            // It fell behind if it is late by more than a frame plus what a busy system may cost now and then.
            Some(rate) if self.late < 1.0 / rate + 0.05 => {
                let busiest = format!("the busiest line is `{}` ({})", self.bottleneck, percent(busy));
                let _ = writeln!(text, "keeps up with {rate} frames/s; {busiest}");
            }
            Some(rate) => {
                let slow = format!("the bottleneck is `{}` ({} busy)", self.bottleneck, percent(busy));
                let late = self.late;
                let _ = writeln!(
                    text,
                    "does not keep up with {rate} frames/s: the last frame came {late:.1} s late; {slow}"
                );
            }
            None => _ = writeln!(text, "the bottleneck is `{}`: busy {} of the time", self.bottleneck, percent(busy)),
        }
        match (self.threads, self.models.len()) {
            (Some(threads), 1..) => _ = writeln!(text, "{threads} threads work on one frame, as asked for"),
            (None, lines @ 1..) => {
                let threads = threads_of(*cores, lines);
                let many =
                    |count: usize, one: &str, more: &str| format!("{count} {}", if count == 1 { one } else { more });
                let _ = writeln!(
                    text,
                    "where the YAML does not say, up to {} on one frame: {}, {} with a model",
                    many(threads, "thread works", "threads work"),
                    many(*cores, "processor", "processors"),
                    many(lines, "line", "lines"),
                );
            }
            _ => {}
        }
        let degrees = temperature.map_or(String::new(), |degrees| format!(", {degrees:.0} C"));
        let _ = writeln!(text, "{name}, {cores} cores, {cpu}, Linux {kernel}, governor {governor}{degrees}");
        text
    }

    /// Returns ratios to an earlier bench; above 1 means faster now.
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
            let _ = writeln!(text, "not directly comparable; these differ: {}", others.join(", "));
        }
        text
    }
}
