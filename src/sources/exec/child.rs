//! A child process that writes pictures to its standard output, and is killed when its reader goes away.

use crate::error::{Error, Result};
use crate::host::{Child, Secrets, Stderr};
use crate::media::mjpeg::MjpegReader;
use crate::media::picture::VideoReader;
use crate::media::{jpeg::LiveJpeg, y4m::Y4mReader};
use crate::ops::color::{Colorimetry, Raw, Subsampling, raw_to_rgb};
use crate::stage::{Feed, Link, Shot, Watch};
use crate::types::{PixelFormat, Size};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::{BufReader, Read};
use std::process::{ChildStdout, Command};
use std::time::Duration;

/// What the child writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// JPEG pictures one after another.
    Mjpeg,
    /// YUV4MPEG2.
    Y4m,
    /// I420 frames with nothing between them.
    Yuv420(Size),
    /// RGB frames with nothing between them.
    Rgb(Size),
}

/// A command to run; each attempt starts a new process.
#[derive(Clone, Debug)]
pub struct ChildLink {
    /// Equivalent programs; the first one that is installed is run.
    pub programs: Vec<String>,
    /// Its arguments.
    pub args: Vec<String>,
    /// What it writes.
    pub output: Output,
    /// The time between two pictures, if known.
    pub interval: Option<Duration>,
    /// How to install the program.
    pub install: String,
    /// Secrets that must not be shown.
    pub secrets: Secrets,
}

impl ChildLink {
    fn spawn(&self) -> Result<(Child, ChildStdout)> {
        for program in &self.programs {
            match Child::spawn(Command::new(program).args(&self.args), Stderr::Log(self.secrets.clone())) {
                Ok(started) => return Ok(started),
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
                Err(e) if e.kind() == std::io::ErrorKind::PermissionDenied => {
                    return Err(Error::Config(format!("`{program}` cannot be started: {e}")));
                }
                Err(e) => return Err(Error::io(format!("starting `{program}`"), e)),
            }
        }
        let names = crate::yaml::one_of(self.programs.iter().map(String::as_str));
        Err(Error::Config(format!("{names} is not installed; {}", self.install)))
    }
}

impl Link for ChildLink {
    fn connect(&self, watch: &Watch) -> Result<Box<dyn Feed>> {
        let (child, stdout) = self.spawn()?;
        let input = Patient { stdout, watch: watch.clone() };
        let reader = match self.output {
            Output::Mjpeg => Reader::Mjpeg(MjpegReader::new(input)),
            Output::Y4m => Reader::Y4m(Y4mInput::Unopened(Some(input))),
            Output::Yuv420(size) | Output::Rgb(size) => Reader::Raw(input, self.output, size),
        };
        Ok(Box::new(ChildFeed {
            child,
            reader,
            interval: self.interval,
            watch: watch.clone(),
            buffer: Vec::new(),
            scratch: Vec::new(),
            jpegs: LiveJpeg::default(),
        }))
    }
}

/// Reads as long as anyone waits for the result.
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

/// The header arrives when the child is ready; it is read with the first picture.
enum Y4mInput {
    Unopened(Option<Patient>),
    Open(Y4mReader<BufReader<Patient>>),
}

struct ChildFeed {
    child: Child,
    reader: Reader,
    interval: Option<Duration>,
    watch: Watch,
    jpegs: LiveJpeg,
    buffer: Vec<u8>,
    scratch: Vec<u8>,
}

impl ChildFeed {
    fn picture(&mut self, shot: &mut Shot) -> Result<bool> {
        // A reader of Y4M or raw frames cannot find the next frame once it is out of step: the child is started again.
        let lost = |e: Error| if let Error::Data(message) = e { Error::Device(message) } else { e };
        match &mut self.reader {
            Reader::Mjpeg(reader) => {
                let Some(picture) = reader.next_picture()? else { return Ok(false) };
                self.jpegs.decode(picture, &mut shot.image)?;
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
                let _ = picture.pixels.to_rgb(&mut shot.image)?;
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
                    let how = Colorimetry::of_stream(2, false);
                    raw_to_rgb(&self.buffer, Raw::I420, *size, how, &mut self.scratch, &mut shot.image)?;
                }
            }
        }
        Ok(true)
    }

    /// Why the child ended, with its last messages.
    fn ended(&mut self, why: Option<Error>) -> Error {
        let watch = &self.watch;
        let status = self.child.wait_a_moment(|| watch.is_over());
        let said = self.child.last_words();
        let said = if said.is_empty() { String::new() } else { format!(": {said}") };
        let program = self.child.name();
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
            // A child that exits without an error is a lost camera, too: ffmpeg does so when a server closes.
            Ok(false) => Err(self.ended(None)),
            Err(error @ Error::Data(_)) => Err(error),
            Err(error) => Err(self.ended(Some(error))),
        }
    }

    fn interval(&self) -> Option<Duration> {
        self.interval
    }

    fn about(&self) -> String {
        format!("{}, process {}", self.child.name(), self.child.id())
    }
}
