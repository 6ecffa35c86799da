//! Hands pictures from the thread that reads a feed to the thread of the line. Holds one picture: the newest.

use crate::error::{Error, Result};
use crate::stage::Shot;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What a feed reports about itself once it is open.
#[derive(Clone, Debug, Default)]
pub struct Opened {
    /// A description for the log.
    pub about: String,
    /// The time between two pictures.
    pub interval: Option<Duration>,
}

/// What the line's thread finds in the slot.
#[derive(Debug)]
pub enum News {
    /// The feed is open.
    Opened(Opened),
    /// A picture, now in the caller's `Shot`: when it arrived, and how many older ones it replaced.
    Picture { at: Duration, missed: u64 },
    /// The number of damaged pictures, and the error of the last one.
    Damaged(u64, Error),
    /// The feed ended, regularly or with an error. Nothing follows.
    Ended(Result<()>),
    /// Nothing yet.
    Nothing,
}

/// One feed's slot.
#[derive(Default)]
pub struct Slot {
    inner: Mutex<Inner>,
    changed: Condvar,
}

#[derive(Default)]
struct Inner {
    opened: Option<Opened>,
    shot: Shot,
    at: Option<Duration>,
    missed: u64,
    damaged: u64,
    damage: Option<Error>,
    ended: Option<Result<()>>,
}

impl Slot {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Inner)) {
        change(&mut self.lock());
        self.changed.notify_one();
    }

    /// The feed is open.
    pub fn opened(&self, opened: Opened) {
        self.change(|inner| inner.opened = Some(opened));
    }

    /// Stores a picture; `shot` gets an old buffer to fill.
    pub fn put(&self, shot: &mut Shot, at: Duration) {
        self.change(|inner| {
            std::mem::swap(&mut inner.shot, shot);
            inner.missed += u64::from(inner.at.replace(at).is_some());
        });
    }

    /// A picture was damaged.
    pub fn damaged(&self, error: Error) {
        self.change(|inner| {
            inner.damaged += 1;
            inner.damage = Some(error);
        });
    }

    /// The feed ended.
    pub fn end(&self, result: Result<()>) {
        self.change(|inner| inner.ended = Some(result));
    }

    /// Waits for news, up to `longest` in real time. Pictures that arrived before the end are returned before it.
    pub fn wait(&self, longest: Duration, shot: &mut Shot) -> News {
        let waits = |inner: &mut Inner| {
            inner.opened.is_none() && inner.at.is_none() && inner.damage.is_none() && inner.ended.is_none()
        };
        let inner = self.changed.wait_timeout_while(self.lock(), longest, waits);
        let (mut inner, _) = inner.unwrap_or_else(PoisonError::into_inner);
        if let Some(opened) = inner.opened.take() {
            return News::Opened(opened);
        }
        if let Some(at) = inner.at.take() {
            std::mem::swap(&mut inner.shot, shot);
            return News::Picture { at, missed: std::mem::take(&mut inner.missed) };
        }
        if let Some(error) = inner.damage.take() {
            return News::Damaged(std::mem::take(&mut inner.damaged), error);
        }
        inner.ended.take().map_or(News::Nothing, News::Ended)
    }
}
