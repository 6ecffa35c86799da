//! Runs a checked pipeline: one thread per line, one queue per edge.

use super::checked::Checked;
use super::config::{Line, WhenFull};
use super::gate::Gate;
use super::graph::{Graph, Node};
use super::options::{Delay, Options};
use super::queue::{Edge, Inbox, Merge, Outbox, edge};
use super::settings::Settings;
use super::slot::{Job, Slot};
use super::worker::{FirstFault, Worker};
use crate::error::{Error, Result};
use crate::host::{Board, EdgeCounters, Limiter, LineCounters, Role, Stop};
use crate::infer::InputForm;
use crate::stage::{Env, LineEnv, threads_of};
use crate::types::Products;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A running pipeline. Dropping it asks all lines to stop and waits for their threads.
pub struct Run {
    /// Lines, edges, counters and states, during the run and after it.
    pub board: Board,
    threads: Vec<JoinHandle<()>>,
    fault: Arc<FirstFault>,
    started: Instant,
    stop: Stop,
    lines: Vec<Running>,
}

/// How a run ended.
#[derive(Debug)]
#[non_exhaustive]
pub struct Outcome {
    /// Lines, edges, counters and states.
    pub board: Board,
    /// How long it ran.
    pub elapsed: Duration,
    /// The fault that ended it, if any.
    pub result: Result<()>,
}

/// What is needed to replace a line while it runs.
struct Running {
    env: LineEnv,
    slot: Arc<Slot>,
    contract: Contract,
}

/// What the other lines rely on.
#[derive(PartialEq)]
struct Contract {
    role: Role,
    needs: Products,
    needs_any: Products,
    gives: Products,
    makes: Option<InputForm>,
    takes: Option<InputForm>,
    writes: Option<PathBuf>,
    holds_back: bool,
}

impl Contract {
    fn of(settings: &Settings, env: &Env) -> Result<Self> {
        let role = role(settings);
        let none = Products::empty();
        let holds_back = holds_back(settings);
        let (makes, takes, writes) = (None, None, None);
        let mut contract = Self { role, needs: none, needs_any: none, gives: none, makes, takes, writes, holds_back };
        match settings {
            Settings::Source(source) => contract.gives = source.gives(env),
            Settings::Stage(stage) => {
                contract.needs = stage.needs();
                contract.needs_any = stage.needs_any();
                contract.gives = stage.gives();
                contract.makes = stage.makes_input(env)?;
                contract.takes = stage.takes_input(env)?.map(|(_, form)| form);
            }
            Settings::Sink(sink) => {
                contract.needs = sink.needs();
                contract.writes = sink.writes();
            }
        }
        Ok(contract)
    }
}

fn holds_back(settings: &Settings) -> bool {
    matches!(settings, Settings::Stage(stage) if stage.holds_back())
}

const fn role(settings: &Settings) -> Role {
    match settings {
        Settings::Source(_) => Role::Source,
        Settings::Stage(_) => Role::Stage,
        Settings::Sink(_) => Role::Sink,
    }
}

impl Checked {
    /// Starts it: loads the models, opens the sources and then the sinks, and starts a thread per line.
    ///
    /// # Errors
    /// Why it could not start.
    pub fn start(&self) -> Result<Run> {
        self.start_with(&Options::default())
    }

    /// Like [`Checked::start`], but with options.
    ///
    /// # Errors
    /// Why it could not start.
    #[doc(hidden)]
    pub fn start_with(&self, options: &Options) -> Result<Run> {
        Run::start(self, options)
    }

    /// Runs it to the end.
    ///
    /// # Errors
    /// Why it could not start. What ended a started run is in the outcome.
    pub fn run(&self) -> Result<Outcome> {
        Ok(self.start()?.wait())
    }
}

impl Run {
    /// Builds every line, then starts the threads: sinks first, sources last.
    fn start(checked: &Checked, options: &Options) -> Result<Self> {
        let (graph, board) = (checked.graph(), board(checked));
        let stop = checked.env().stop.child();
        let secrets = checked.env().secrets.with(checked.document().secrets.clone());
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let model = |line: &&Line| matches!(&line.settings, Settings::Stage(stage) if stage.model().is_some());
        let models = checked.lines().iter().filter(model).count();
        let env = Arc::new(Env {
            secrets,
            stop: stop.clone(),
            board: board.clone(),
            epoch: Arc::default(),
            threads: threads_of(processors, models),
            ..checked.env().clone()
        });
        let line_env =
            |(counters, node): (&Arc<_>, &Node)| LineEnv::new(Arc::clone(&env), Arc::clone(counters), node.live);
        let envs: Vec<LineEnv> = board.lines.iter().zip(&graph.nodes).map(line_env).collect();
        let contract = |line: &Line| Contract::of(&line.settings, &env).map_err(|e| e.at(&line.id));
        let contracts: Vec<Contract> = checked.lines().iter().map(contract).collect::<Result<_>>()?;
        let jobs = build(checked.lines(), &envs)?;
        let (inboxes, outboxes) = connect(graph, &board, &envs);
        let fault = Arc::<FirstFault>::default();
        let first_pts = Arc::<OnceLock<Duration>>::default();
        let sinks = checked.lines().iter().filter(|line| matches!(line.settings, Settings::Sink(_))).count();
        let sinks = Arc::new(AtomicUsize::new(sinks));
        let mut run = Self { board, threads: Vec::new(), fault, started: Instant::now(), stop, lines: Vec::new() };
        let running = |(env, contract): (&LineEnv, _)| Running { env: env.clone(), slot: Arc::default(), contract };
        run.lines = envs.iter().zip(contracts).map(running).collect();
        let parts = checked.lines().iter().zip(jobs).zip(inboxes.into_iter().zip(outboxes));
        for (index, ((line, job), (inbox, outbox))) in parts.enumerate().collect::<Vec<_>>().into_iter().rev() {
            let (node, running) = (&graph.nodes[index], &run.lines[index]);
            let worker = Worker {
                env: running.env.clone(),
                live: node.live,
                forgives: node.forgives,
                fault: Arc::clone(&run.fault),
                slot: Arc::clone(&running.slot),
                delay: Delay::new(options, line, index),
                pace: options.pace,
                frames: options.frames,
                first_pts: Arc::clone(&first_pts),
                virtual_clock: options.clock.clone(),
                limiter: Limiter::default(),
                holds_back: holds_back(&line.settings),
                sinks: Arc::clone(&sinks),
                max_faults: options.max_faults,
                faults: 0,
                failing: None,
            };
            let gate = Gate::new(line, node.live, options);
            let thread = std::thread::Builder::new().name(line.id.clone());
            match thread.spawn(move || worker.run(job, inbox, outbox, gate)) {
                Ok(handle) => run.threads.push(handle),
                Err(e) => run.fault.report(Error::io(format!("thread for `{}`", line.id), e), &run.stop),
            }
        }
        Ok(run)
    }

    /// Returns the run's own stop, which ends only this run.
    #[must_use]
    pub const fn stop(&self) -> &Stop {
        &self.stop
    }

    /// Returns the fault that is ending the run, if there is one.
    #[must_use]
    #[doc(hidden)]
    pub fn fault(&self) -> Option<String> {
        self.fault.text()
    }

    /// Returns whether all lines have ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.threads.iter().all(JoinHandle::is_finished)
    }

    /// Replaces a line while it runs. The new part takes over between two packets, after the old one has emitted or
    /// written what it still held. No packet is lost, and the order stays the same.
    ///
    /// # Errors
    /// [`Error::Config`] if there is no such line, or if something that other lines rely on would change: what it needs
    /// or gives, the model input it makes or takes, the file it writes. Any error from building the new part; the old
    /// one then stays.
    #[doc(hidden)]
    pub fn replace(&self, line: &str, settings: &Settings) -> Result<()> {
        let Some(running) = self.lines.iter().find(|running| &**running.env.id() == line) else {
            let known = self.lines.iter().map(|running| &**running.env.id());
            return Err(Error::Config(format!("no line is called `{line}`; expected {}", crate::yaml::one_of(known))));
        };
        let env = &running.env;
        let contract = Contract::of(settings, env)?;
        if contract != running.contract {
            let message = "what it needs or gives, its model input or its file would change; restart the run instead";
            return Err(Error::Config(format!("`{line}` cannot be replaced while it runs: {message}")));
        }
        let job = match settings {
            Settings::Source(_) => {
                return Err(Error::Config(format!("`{line}` is a source; it cannot be replaced while it runs")));
            }
            Settings::Sink(_) if contract.writes.is_some() => {
                return Err(Error::Config(format!("`{line}` has its file open; it cannot be replaced while it runs")));
            }
            Settings::Stage(stage) => {
                stage.check(env)?;
                Job::Stage(stage.build(env)?)
            }
            Settings::Sink(sink) => {
                sink.check(env)?;
                Job::Sink(sink.open(env)?)
            }
        };
        if running.slot.put(job) {
            return Ok(());
        }
        Err(Error::Config(format!("`{line}` has ended; there is nothing to replace")))
    }

    /// Waits for the run to end.
    #[must_use]
    pub fn wait(mut self) -> Outcome {
        self.join();
        let result = match self.fault.take() {
            None | Some(Error::ReaderGone) => Ok(()),
            Some(error) => Err(error),
        };
        Outcome { board: self.board.clone(), elapsed: self.started.elapsed(), result }
    }

    fn join(&mut self) {
        for thread in self.threads.drain(..) {
            // Panics are caught and reported inside the thread.
            let _ = thread.join();
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.stop.abandon();
        self.join();
    }
}

/// Creates the board of a run that is about to start.
fn board(checked: &Checked) -> Board {
    let counters = |line: &Line| Arc::new(LineCounters::new(&line.id, line.word, role(&line.settings)));
    let nodes = checked.graph().nodes.iter().enumerate();
    let edges = nodes.flat_map(|(to, node)| {
        let drops = node.when_full == WhenFull::DropOldest;
        node.inputs.iter().map(move |&from| Arc::new(EdgeCounters::new(from, to, node.capacity, drops)))
    });
    Board { lines: checked.lines().iter().map(counters).collect(), edges: edges.collect() }
}

/// Creates the queues between the lines.
fn connect(graph: &Graph, board: &Board, envs: &[LineEnv]) -> (Vec<Inbox>, Vec<Outbox>) {
    let gone: Vec<Arc<AtomicBool>> = envs.iter().map(|_| Arc::default()).collect();
    let mut outgoing: Vec<Vec<Edge>> = envs.iter().map(|_| Vec::new()).collect();
    let mut receivers: Vec<Vec<_>> = envs.iter().map(|_| Vec::new()).collect();
    for counters in &*board.edges {
        let (sender, receiver) = edge(counters, &gone[counters.to], &envs[counters.to], graph.takes_ticks(counters.to));
        outgoing[counters.from].push(sender);
        receivers[counters.to].push(receiver);
    }
    let inbox = |(index, receivers)| {
        let (rule, gone) = (merge_rule(graph, index), Arc::clone(&gone[index]));
        Inbox::new(receivers, rule, gone, Arc::clone(envs[index].counters()))
    };
    let inboxes = receivers.into_iter().enumerate().map(inbox).collect();
    (inboxes, outgoing.into_iter().map(Outbox::new).collect())
}

fn merge_rule(graph: &Graph, index: usize) -> Merge {
    let node = &graph.nodes[index];
    if node.live || node.when_full == WhenFull::DropOldest {
        Merge::Arrival
    } else if graph.merges_with_buffer(index) {
        Merge::TimeBuffered
    } else {
        Merge::Time
    }
}

/// Builds the stages, then opens the sources, then the sinks: no frame is lost while a model loads, and no file is
/// touched until everything else is ready.
fn build(lines: &[Line], envs: &[LineEnv]) -> Result<Vec<Job>> {
    let mut jobs: Vec<Option<Job>> = lines.iter().map(|_| None).collect();
    for turn in [Role::Stage, Role::Source, Role::Sink] {
        for ((line, env), job) in lines.iter().zip(envs).zip(&mut jobs).filter(|((l, _), _)| role(&l.settings) == turn)
        {
            let at = |e: Error| e.at(&line.id);
            *job = Some(match &line.settings {
                Settings::Stage(stage) => Job::Stage(stage.build(env).map_err(at)?),
                Settings::Source(source) => {
                    let source = source.open(env).map_err(at)?;
                    env.counters().expected.store(source.count().unwrap_or(0), Relaxed);
                    Job::Source(source)
                }
                Settings::Sink(sink) => Job::Sink(sink.open(env).map_err(at)?),
            });
        }
    }
    // Every line has one of the three roles.
    Ok(jobs.into_iter().flatten().collect())
}
