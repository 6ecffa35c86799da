//! The recorder's thread.

use super::counts::Counts;
use super::item::{Gaps, Item, describe};
use crate::error::Result;
use crate::host::Limiter;
use crate::media::flight::{Entry, FlightWriter, FormEntry};
use crate::media::{jpeg, png};
use crate::types::Frame;
use crossbeam_channel::Receiver;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

/// How long to wait after a failed write before the next one.
const REST: Duration = Duration::from_secs(30);

/// The state of the thread.
pub(super) struct Work {
    pub(super) writer: FlightWriter,
    pub(super) jpeg: Option<u8>,
    pub(super) waiting: Arc<AtomicUsize>,
    pub(super) counts: Arc<Counts>,
    /// When the last write failed, if the disk is failing.
    pub(super) broken: Option<Duration>,
    /// What could not be written.
    pub(super) gaps: Gaps,
    /// The sources of H.264: after a failed write, their next pictures lack what was lost.
    pub(super) streams: BTreeSet<Arc<str>>,
    pub(super) payload: Vec<u8>,
    /// Limits the log of repeated failures.
    pub(super) limiter: Limiter,
}

impl Work {
    pub(super) fn run(mut self, receiver: &Receiver<(Item, Duration)>) {
        while let Ok((mut item, at)) = receiver.recv() {
            let bytes = item.bytes();
            let ended = matches!(item, Item::End);
            let rests = self.broken.is_some_and(|since| at.saturating_sub(since) < REST) && !ended;
            let done = if rests {
                self.leave_out(&item);
                Ok(())
            } else {
                let done = self.write(&mut item, at);
                // If nothing is waiting, flush, so that the buffer's content survives a crash.
                done.and_then(|()| if receiver.is_empty() { self.writer.flush(at) } else { Ok(()) })
            };
            self.waiting.fetch_sub(bytes, Relaxed);
            match done {
                Err(error) => {
                    self.leave_out(&item);
                    // What was in the buffer is lost too.
                    self.gaps.units.extend(self.streams.iter().cloned());
                    if ended {
                        tracing::warn!("the recording stops, the run goes on: {error}");
                    } else if let Some(told) = self.limiter.failed(&error.to_string(), at) {
                        let again = REST.as_secs();
                        tracing::warn!("the recording stops, the run goes on: {told}; trying every {again} s");
                    }
                    self.broken = Some(at);
                }
                Ok(()) if !rests && self.broken.take().is_some() => {
                    self.limiter.forget();
                    tracing::info!("the recording continues");
                }
                Ok(()) => {}
            }
            if ended {
                return;
            }
        }
    }

    fn leave_out(&mut self, item: &Item) {
        self.gaps.add(item);
        self.counts.missed.fetch_add(u64::from(matches!(item, Item::Frame(..) | Item::Coded(..))), Relaxed);
    }

    fn write(&mut self, item: &mut Item, at: Duration) -> Result<()> {
        for entry in self.gaps.entries() {
            self.push(&entry, &[], at)?;
        }
        self.gaps.forget_told();
        match item {
            Item::Frame(frame, truth) => {
                let form = self.encode(frame)?;
                let payload = std::mem::take(&mut self.payload);
                let done = self.push(&Entry::Frame(describe(frame, truth.as_ref(), form)), &payload, at);
                self.payload = payload;
                done?;
                self.counts.frames.fetch_add(1, Relaxed);
                Ok(())
            }
            Item::Coded(entry, data) => {
                self.push(&Entry::Frame(entry.clone()), data, at)?;
                self.counts.frames.fetch_add(1, Relaxed);
                Ok(())
            }
            Item::Unit(source, unit, data) => {
                unit.lost |= self.gaps.units.remove(source);
                self.streams.insert(Arc::clone(source));
                self.push(&Entry::Unit(unit.clone()), data, at)
            }
            Item::Plain(entry) => self.push(entry, &[], at),
            Item::End => self.writer.finish(at),
        }
    }

    fn push(&mut self, entry: &Entry, payload: &[u8], at: Duration) -> Result<()> {
        self.writer.push(entry, payload, at)?;
        self.counts.bytes.fetch_add(payload.len() as u64, Relaxed);
        Ok(())
    }

    /// Encodes the pixels into `payload`.
    fn encode(&mut self, frame: &Frame) -> Result<FormEntry> {
        self.payload.clear();
        match self.jpeg {
            Some(quality) => jpeg::encode(&frame.image, quality, &mut self.payload).map(|()| FormEntry::Remade),
            None => png::encode_fast(&frame.image, &mut self.payload).map(|()| FormEntry::Png),
        }
    }
}
