//! A child process that writes pictures to its standard output, and dies with whoever reads them.

use crate::error::{Error, Result};
use crate::host::Secrets;
use crate::media::mjpeg::MjpegReader;
use crate::media::video::VideoReader;
use crate::media::{jpeg, y4m::Y4mReader};
use crate::ops::color::{Colorimetry, Raw, Subsampling, raw_to_rgb};
use crate::stage::{Feed, Link, Shot, Watch};
use crate::types::{PixelFormat, Size};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process_group};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What the child writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// JPEG pictures one after the other.
    Mjpeg,
    /// YUV4MPEG2.
    Y4m,
    /// I420 frames without anything between them.
    Yuv420(Size),
    /// RGB frames without anything between them.
    Rgb(Size),
}

/// A command to run, each time afresh.
#[derive(Clone, Debug)]
pub struct ChildLink {
    /// Programs of the same kind, of which the first that is installed is run.
    pub programs: Vec<String>,
    /// What it is told.
    pub args: Vec<String>,
    /// What it writes.
    pub output: Output,
    /// Time between two pictures, if known.
    pub interval: Option<Duration>,
    /// How to get the program.
    pub install: String,
    /// What must not be shown.
    pub secrets: Secrets,
}

/// Lines of standard error that go into the log in [`SAY_IN`]; more are counted.
const SAY_MOST: u32 = 20;
const SAY_IN: Duration = Duration::from_secs(10);
/// No line is longer.
const LONGEST_LINE: u64 = 1000;
/// How long a child may take to end when asked to.
const FAREWELL: Duration = Duration::from_millis(700);

impl ChildLink {
    fn spawn(&self) -> Result<Child> {
        for program in &self.programs {
            let spawned = Command::new(program)
                .args(&self.args)
                // A group of its own: Ctrl-C is for us, and what the child starts ends with it.
                .process_group(0)
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn();
            match spawned {
                Ok(child) => return Ok(child),
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
                Err(e) => return Err(Error::Config(format!("`{program}` cannot be started: {e}"))),
            }
        }
        let names = crate::yaml::one_of(self.programs.iter().map(String::as_str));
        Err(Error::Config(format!("{names} is not installed; {}", self.install)))
    }
}

impl Link for ChildLink {
    fn connect(&self, watch: &Watch) -> Result<Box<dyn Feed>> {
        let mut child = self.spawn()?;
        let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(Error::Internal("a child without its pipes".into()));
        };
        let name = self.programs.first().cloned().unwrap_or_default();
        let last = Arc::<Mutex<String>>::default();
        let (said, secrets) = (Arc::clone(&last), self.secrets.clone());
        let thread = std::thread::Builder::new().name("stderr".into());
        let spawned = thread.spawn(move || listen(BufReader::new(stderr), &name, &secrets, &said));
        let listener = spawned.map_err(|e| Error::io("thread for standard error", e))?;
        let input = Patient { stdout, watch: watch.clone() };
        let reader = match self.output {
            Output::Mjpeg => Reader::Mjpeg(MjpegReader::new(input)),
            Output::Y4m => Reader::Y4m(Y4mInput::Unopened(Some(input))),
            Output::Yuv420(size) | Output::Rgb(size) => Reader::Raw(input, self.output, size),
        };
        Ok(Box::new(ChildFeed {
            child,
            reader,
            listener,
            last,
            link: self.clone(),
            watch: watch.clone(),
            buffer: Vec::new(),
            scratch: Vec::new(),
        }))
    }
}

/// Puts what the child says into the log, without secrets and not more than anyone would read.
fn listen(mut input: impl BufRead, name: &str, secrets: &Secrets, last: &Mutex<String>) {
    let (mut line, mut began, mut count) = (Vec::new(), Instant::now(), 0u32);
    loop {
        line.clear();
        match input.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        if began.elapsed() > SAY_IN {
            if count > SAY_MOST {
                tracing::warn!("{name}: {} more lines on standard error", count - SAY_MOST);
            }
            (began, count) = (Instant::now(), 0);
        }
        let text = String::from_utf8_lossy(&line);
        // Progress lines end in a carriage return; the last of them is enough.
        let text = text.trim_end().rsplit('\r').next().unwrap_or_default().trim();
        if text.is_empty() {
            continue;
        }
        let text = secrets.redact(text);
        count = count.saturating_add(1);
        if count <= SAY_MOST {
            tracing::info!("{name}: {text}");
        }
        *last.lock().unwrap_or_else(PoisonError::into_inner) = text;
    }
}

/// Reads while anyone waits for it.
struct Patient {
    stdout: ChildStdout,
    watch: Watch,
}

impl Read for Patient {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
        loop {
            if self.watch.is_over() {
                return Err(std::io::ErrorKind::TimedOut.into());
            }
            let mut ready = [PollFd::new(&self.stdout, PollFlags::IN)];
            match poll(&mut ready, Some(&LOOK)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) => return self.stdout.read(out),
                Err(e) => return Err(e.into()),
            }
        }
    }
}

enum Reader {
    Mjpeg(MjpegReader<Patient>),
    Y4m(Y4mInput),
    Raw(Patient, Output, Size),
}

/// The header comes when the child is ready; it is read with the first picture.
enum Y4mInput {
    Unopened(Option<Patient>),
    Open(Y4mReader<BufReader<Patient>>),
}

struct ChildFeed {
    child: Child,
    reader: Reader,
    /// Reads standard error.
    listener: JoinHandle<()>,
    last: Arc<Mutex<String>>,
    link: ChildLink,
    watch: Watch,
    buffer: Vec<u8>,
    scratch: Vec<u8>,
}

impl ChildFeed {
    fn picture(&mut self, shot: &mut Shot) -> Result<bool> {
        // Neither Y4M nor raw frames can be found again once out of step: the child is started anew.
        let lost = |e: Error| if let Error::Data(message) = e { Error::Device(message) } else { e };
        match &mut self.reader {
            Reader::Mjpeg(reader) => {
                let Some(picture) = reader.next_picture()? else { return Ok(false) };
                jpeg::decode(picture, &mut shot.image)?;
                if self.watch.is_recorded() {
                    shot.coded.set_jpeg(picture);
                }
            }
            Reader::Y4m(input) => {
                if let Y4mInput::Unopened(unopened) = input {
                    let Some(plain) = unopened.take() else { return Ok(false) };
                    *input = Y4mInput::Open(Y4mReader::new(BufReader::with_capacity(1 << 16, plain)).map_err(lost)?);
                }
                let Y4mInput::Open(reader) = input else { return Ok(false) };
                let Some(picture) = reader.next_picture().map_err(lost)? else { return Ok(false) };
                picture.pixels.to_rgb(&mut shot.image)?;
            }
            Reader::Raw(input, output, size) => {
                let rgb = matches!(output, Output::Rgb(_));
                let bytes = if rgb { size.pixels() * 3 } else { Subsampling::Yuv420.bytes(*size) };
                let into = if rgb {
                    shot.image.reshape(*size, PixelFormat::Rgb8);
                    &mut shot.image.data
                } else {
                    self.buffer.resize(bytes, 0);
                    &mut self.buffer
                };
                match input.read_exact(into) {
                    Ok(()) => {}
                    Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(false),
                    Err(e) => return Err(Error::io("reading the child", e)),
                }
                if !rgb {
                    let how = Colorimetry::of_stream(2, false, size.height);
                    raw_to_rgb(&self.buffer, Raw::I420, *size, how, &mut self.scratch, &mut shot.image)?;
                }
            }
        }
        Ok(true)
    }

    /// Why the child ended, in its own words.
    fn ended(&mut self, why: Option<Error>) -> Error {
        let waited = Instant::now();
        let mut status = self.child.try_wait().ok().flatten();
        while status.is_none() && waited.elapsed() < FAREWELL && !self.watch.is_over() {
            std::thread::sleep(Duration::from_millis(10));
            status = self.child.try_wait().ok().flatten();
        }
        // Its last words may still be on their way; something it started may keep the pipe open for good.
        while status.is_some() && !self.listener.is_finished() && waited.elapsed() < FAREWELL {
            std::thread::sleep(Duration::from_millis(5));
        }
        let said = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let said = if said.is_empty() { String::new() } else { format!(": {said}") };
        let program = self.link.programs.first().map_or("the child", String::as_str);
        match (status, why) {
            (Some(status), _) => Error::Device(format!("`{program}` ended ({status}){said}")),
            (None, Some(error)) => Error::Device(format!("`{program}`: {error}{said}")),
            (None, None) => Error::Device(format!("`{program}` closed its output{said}")),
        }
    }
}

impl Feed for ChildFeed {
    fn read(&mut self, shot: &mut Shot) -> Result<bool> {
        shot.media = None;
        match self.picture(shot) {
            Ok(true) => Ok(true),
            // A child that ended in order is a lost camera too: ffmpeg ends so when a server closes.
            Ok(false) => Err(self.ended(None)),
            Err(error @ Error::Data(_)) => Err(error),
            Err(error) => Err(self.ended(Some(error))),
        }
    }

    fn interval(&self) -> Option<Duration> {
        self.link.interval
    }

    fn about(&self) -> String {
        format!("{} as process {}", self.link.programs.first().map_or("", String::as_str), self.child.id())
    }
}

impl Drop for ChildFeed {
    fn drop(&mut self) {
        let group = Pid::from_child(&self.child);
        let _ = kill_process_group(group, Signal::TERM);
        let asked = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) && asked.elapsed() < FAREWELL {
            std::thread::sleep(Duration::from_millis(10));
        }
        // Also what it started and left behind.
        let _ = kill_process_group(group, Signal::KILL);
        let _ = self.child.wait();
    }
}
