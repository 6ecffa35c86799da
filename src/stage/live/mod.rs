//! Keeps a live source alive: `opening → live → stalled → backoff → live | failed`.
//!
//! Each attempt has its own thread, which opens the source and reads it. The line's thread waits for pictures and
//! watches the time. A thread that hangs in a driver is abandoned, and a new one takes over. Frames are never made up:
//! while a source is down, there are none. Connections of sinks are kept by [`Connection`].

mod connection;
mod slot;
mod supervisor;
mod timeline;

pub use connection::{Connection, Connector};

use crate::error::{Error, Result};
use crate::host::catch;
use crate::stage::{Care, LineEnv, Link, Shot, Source, SourceConfig, Watch};
use crate::types::{Frame, Packet, Pool};
use slot::{News, Opened, Slot};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use supervisor::Supervisor;
use timeline::Timeline;

/// The minimum time without a picture that counts as a stall.
const STALL: Duration = Duration::from_secs(2);
/// The longest time from opening to the first picture.
const OPENING: Duration = Duration::from_secs(10);
/// The maximum number of threads that hang in a driver; beyond it, another attempt would only make things worse.
const MOST_HUNG: usize = 3;
/// The longest sleep of the line's thread, in real time, so that it notices a stop.
const LOOK: Duration = Duration::from_millis(50);
/// How long to wait for the threads at the end, in real time.
const FAREWELL: Duration = Duration::from_secs(2);
/// Checks a live source, and opens it so that it is watched and opened again after a loss.
///
/// # Errors
/// Those of its check.
pub fn open(config: &impl SourceConfig, env: &LineEnv) -> Result<Box<dyn Source>> {
    config.check(env)?;
    let link = config.link(env).ok_or_else(|| Error::Internal("a live source without a link".into()))?;
    Ok(keep(link, config.care(), env))
}

/// Turns a link into a source that is opened, watched, and opened again after a loss.
#[must_use]
pub fn keep(link: Box<dyn Link>, care: Care, env: &LineEnv) -> Box<dyn Source> {
    Box::new(Kept {
        link: Arc::from(link),
        care,
        supervisor: Supervisor::new(care, env),
        env: env.clone(),
        phase: Phase::Down { until: Duration::ZERO },
        hung: Vec::new(),
        frames: Pool::new(),
        timeline: Timeline::default(),
        seq: 0,
        shot: Shot::default(),
    })
}

struct Kept {
    link: Arc<dyn Link>,
    care: Care,
    env: LineEnv,
    supervisor: Supervisor,
    phase: Phase,
    hung: Vec<JoinHandle<()>>,
    frames: Pool<Frame>,
    timeline: Timeline,
    seq: u64,
    shot: Shot,
}

enum Phase {
    Down { until: Duration },
    Up(Try),
}

/// One attempt: a thread, its slot, and what is known about it.
struct Try {
    slot: Arc<Slot>,
    watch: Watch,
    thread: JoinHandle<()>,
    began: Duration,
    /// When the first and the last picture arrived.
    first: Option<Duration>,
    last: Duration,
    interval: Option<Duration>,
    opened: Opened,
}

/// Reads a feed until it ends or is no longer needed.
fn capture(link: &dyn Link, watch: &Watch, slot: &Slot) -> Result<()> {
    let mut feed = link.connect(watch)?;
    slot.opened(Opened { about: feed.about(), interval: feed.interval() });
    let mut shot = Shot::default();
    while !watch.is_over() {
        shot.coded.clear();
        match feed.read(&mut shot) {
            Ok(true) => slot.put(&mut shot, watch.clock.now()),
            Ok(false) => return Ok(()),
            Err(error @ Error::Data(_)) => slot.damaged(error),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

impl Kept {
    fn start(&mut self) -> Result<()> {
        self.hung.retain(|thread| !thread.is_finished());
        if self.hung.len() >= MOST_HUNG {
            let reason =
                format!("{MOST_HUNG} earlier attempts still hang in the driver; unplug it or restart the machine");
            return self.lost(&Error::Device(reason));
        }
        self.supervisor.opening();
        let watch = Watch::new(Arc::clone(&self.env.clock), self.env.stop.clone());
        let watch = watch.recorded(self.env.tap.as_ref(), self.env.id());
        let slot = Arc::<Slot>::default();
        let (link, seen, put) = (Arc::clone(&self.link), watch.clone(), Arc::clone(&slot));
        let work = move || {
            // If a driver crate panics, the camera is lost, but the program continues.
            let done = catch(|| capture(&*link, &seen, &put));
            put.end(done.unwrap_or_else(|said| Err(Error::Device(format!("panicked: {said}")))));
        };
        let thread = std::thread::Builder::new().name(format!("{}-in", self.env.id())).spawn(work);
        let thread = thread.map_err(|e| Error::io(format!("thread for `{}`", self.env.id()), e))?;
        let now = self.env.clock.now();
        let opened = Opened::default();
        let fresh = Try { slot, watch, thread, began: now, first: None, last: now, interval: None, opened };
        self.phase = Phase::Up(fresh);
        Ok(())
    }

    /// The source is gone: waits before the next try, or ends the run.
    fn lost(&mut self, error: &Error) -> Result<()> {
        let now = self.env.clock.now();
        let live_for = match std::mem::replace(&mut self.phase, Phase::Down { until: now }) {
            Phase::Up(old) => {
                old.watch.give_up();
                self.hung.push(old.thread);
                old.first.map(|first| now.saturating_sub(first))
            }
            Phase::Down { .. } => None,
        };
        self.timeline.lost();
        let wait = self.supervisor.lost(error, live_for)?;
        self.phase = Phase::Down { until: now + wait };
        Ok(())
    }

    /// Returns a description if no picture has arrived for too long.
    fn stalled(&self, of: &Try) -> Option<String> {
        let now = self.env.clock.now();
        let silent = now.saturating_sub(of.last);
        let known = of.opened.interval.max(of.interval);
        let after = self.care.stall_after.unwrap_or_else(|| STALL.max(known.unwrap_or_default() * 10));
        let limit = if of.first.is_some() { after } else { after.max(OPENING) };
        (silent > limit).then(|| match of.first {
            Some(_) => format!("no picture for {:.1} s", silent.as_secs_f64()),
            None => format!("no picture within {:.0} s of opening", now.saturating_sub(of.began).as_secs_f64()),
        })
    }

    fn look_for_stall(&mut self) -> Result<()> {
        let Phase::Up(of) = &self.phase else { return Ok(()) };
        let Some(reason) = self.stalled(of) else { return Ok(()) };
        if of.first.is_some() {
            self.supervisor.stalled(&reason);
        }
        self.lost(&Error::Device(reason))
    }

    fn picture(&mut self, at: Duration, missed: u64) -> Result<Packet> {
        let Phase::Up(of) = &mut self.phase else { return Err(Error::Internal("a picture without a source".into())) };
        let first = of.first.is_none();
        if !first {
            // The longest recent interval, which decays slowly.
            let interval = at.saturating_sub(of.last) / (1 + u32::try_from(missed).unwrap_or(u32::MAX - 1));
            of.interval = Some(interval.max(of.interval.unwrap_or_default().mul_f64(0.9)));
        }
        of.last = at;
        if first {
            of.first = Some(at);
            let about = std::mem::take(&mut of.opened.about);
            self.supervisor.live(at, &about);
        }
        let elapsed = at.saturating_sub(*self.env.epoch.get_or_init(|| at));
        let (pts, jumped) = self.timeline.pts(elapsed, self.shot.media);
        if let Some(by) = jumped {
            tracing::warn!(
                line = &**self.env.id(),
                "the source's time jumped by {:.3} s; continuing with the system clock",
                by as f64 / 1e9
            );
        }
        self.seq += missed;
        let (env, shot) = (&self.env, &mut self.shot);
        let frame = self.frames.fill(|frame| {
            frame.source = Arc::clone(env.id());
            frame.seq = self.seq;
            frame.pts = pts;
            frame.wall = env.clock.wall() - env.clock.now().saturating_sub(at);
            std::mem::swap(&mut frame.image, &mut shot.image);
            std::mem::swap(&mut frame.coded, &mut shot.coded);
            Ok::<(), Error>(())
        })?;
        self.seq += 1;
        Ok(Packet::new(frame))
    }
}

impl Source for Kept {
    fn next(&mut self) -> Result<Option<Packet>> {
        while !self.env.stop.is_requested() {
            let of = match &mut self.phase {
                Phase::Down { until } => {
                    let left = until.saturating_sub(self.env.clock.now());
                    if left.is_zero() {
                        self.start()?;
                    } else {
                        self.env.clock.sleep(left.min(LOOK));
                    }
                    continue;
                }
                Phase::Up(of) => of,
            };
            match of.slot.wait(LOOK, &mut self.shot) {
                News::Opened(opened) => {
                    of.opened = opened;
                    // A picture may already be waiting.
                    continue;
                }
                News::Picture { at, missed } => return self.picture(at, missed).map(Some),
                News::Damaged(count, error) => {
                    self.env.health().count_damaged(count);
                    // First, because otherwise a stream of only damaged pictures would never be opened again.
                    self.look_for_stall()?;
                    let several = format!("{count} damaged pictures, the last");
                    return Err(if count > 1 { error.at(several) } else { error });
                }
                News::Ended(Ok(())) => return Ok(None),
                News::Ended(Err(error)) => self.lost(&error)?,
                News::Nothing => {}
            }
            self.look_for_stall()?;
        }
        Ok(None)
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Phase::Up(old) = std::mem::replace(&mut self.phase, Phase::Down { until: Duration::ZERO }) {
            old.watch.give_up();
            self.hung.push(old.thread);
        }
        // Gives child processes time to end and devices time to close, also those of recently abandoned attempts.
        // Threads that hang in a driver are left until the process ends.
        let asked = std::time::Instant::now();
        while self.hung.iter().any(|thread| !thread.is_finished()) && asked.elapsed() < FAREWELL {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}
