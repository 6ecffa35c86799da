//! Child processes that write to their standard output and end together with their reader.

use super::{Limiter, Secrets, catch};
use rustix::process::{Pid, Signal, kill_process_group};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How many lines of standard error are logged per [`SAY_IN`]; the rest are counted.
const SAY_MOST: usize = 20;
const SAY_IN: Duration = Duration::from_secs(10);
/// Maximum length of a line in bytes; longer ones are split.
const LONGEST_LINE: u64 = 1000;
/// How long a child may take to end when asked to, and its last messages may take to arrive.
const FAREWELL: Duration = Duration::from_millis(700);

/// A child in its own process group. Ctrl-C reaches only us, and whatever the child starts ends with it. Dropping this
/// asks the whole group to end, and kills it if it does not.
pub struct Child {
    inner: std::process::Child,
    name: String,
    listener: Option<JoinHandle<()>>,
    /// Whether its end was waited for, so that its number may belong to another process.
    reaped: bool,
    said: Arc<Mutex<String>>,
}

/// What happens to the lines of a child's standard error.
#[derive(Clone, Debug)]
pub enum Stderr {
    /// They are logged without secrets, and only a limited number of them.
    Log(Secrets),
    /// Only the last one is kept, for [`Child::last_words`].
    Keep,
}

impl Child {
    /// Starts a command and returns it with its standard output.
    ///
    /// # Errors
    /// Returns the error of the operating system.
    pub fn spawn(command: &mut Command, stderr_to: Stderr) -> std::io::Result<(Self, ChildStdout)> {
        let name = command.get_program().to_string_lossy().into_owned();
        let mut inner =
            command.process_group(0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let pipes = inner.stdout.take().zip(inner.stderr.take());
        let (stdout, stderr) = pipes.ok_or(std::io::ErrorKind::BrokenPipe)?;
        let said = Arc::<Mutex<String>>::default();
        let (last, shown) = (Arc::clone(&said), name.clone());
        // Its messages are read on their own thread; otherwise a talkative child would block.
        let listen = move || _ = catch(|| listen(BufReader::new(stderr), &shown, &stderr_to, &last));
        let mut child = Self { inner, name, listener: None, reaped: false, said };
        // If there is no thread for it, dropping the child ends it.
        child.listener = Some(std::thread::Builder::new().name("stderr".into()).spawn(listen)?);
        Ok((child, stdout))
    }

    /// The program's name, for messages.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process ID.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.inner.id()
    }

    /// Waits a moment for it to end, or until `over` returns true; returns `None` if it is still running.
    pub fn wait_a_moment(&mut self, over: impl Fn() -> bool) -> Option<ExitStatus> {
        let waited = Instant::now();
        let mut status = self.inner.try_wait().ok().flatten();
        while status.is_none() && waited.elapsed() < FAREWELL && !over() {
            std::thread::sleep(Duration::from_millis(10));
            status = self.inner.try_wait().ok().flatten();
        }
        if status.is_some() {
            self.listen_out();
        }
        status
    }

    /// Waits for it to end, however long that takes: for a child that closed its output and starts nothing itself.
    ///
    /// # Errors
    /// Returns the error of the operating system.
    pub fn wait(&mut self) -> std::io::Result<ExitStatus> {
        let status = self.inner.wait()?;
        self.reaped = true;
        self.listen_out();
        Ok(status)
    }

    /// Its last messages may still be on their way, but a process it started may keep the pipe open forever.
    fn listen_out(&self) {
        let waited = Instant::now();
        let listens = || self.listener.as_ref().is_some_and(|listener| !listener.is_finished());
        while listens() && waited.elapsed() < FAREWELL {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The last line it wrote to standard error; empty if it wrote nothing.
    #[must_use]
    pub fn last_words(&self) -> String {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.reaped {
            return;
        }
        let group = Pid::from_child(&self.inner);
        let _ = kill_process_group(group, Signal::TERM);
        let asked = Instant::now();
        while matches!(self.inner.try_wait(), Ok(None)) && asked.elapsed() < FAREWELL {
            std::thread::sleep(Duration::from_millis(10));
        }
        // This also ends processes that it started and left behind.
        let _ = kill_process_group(group, Signal::KILL);
        let _ = self.inner.wait();
    }
}

fn listen(mut input: impl BufRead, name: &str, stderr_to: &Stderr, last: &Mutex<String>) {
    let (mut line, mut limiter, began) = (Vec::new(), Limiter::new(SAY_MOST, SAY_IN), Instant::now());
    loop {
        line.clear();
        match input.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let text = String::from_utf8_lossy(&line);
        // Progress lines end in a carriage return; the last of them is enough.
        let text = text.trim_end().rsplit('\r').next().unwrap_or_default().trim();
        if text.is_empty() {
            continue;
        }
        let text = match stderr_to {
            Stderr::Log(secrets) => {
                let text = secrets.redact(text);
                if let Some(text) = limiter.failed(&text, began.elapsed()) {
                    tracing::info!("{name}: {text}");
                }
                text
            }
            Stderr::Keep => text.to_owned(),
        };
        *last.lock().unwrap_or_else(PoisonError::into_inner) = text;
    }
}
