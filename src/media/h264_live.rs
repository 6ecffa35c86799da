//! Live H.264 from a camera: access units in, pictures out as soon as they can be shown.

use super::h264::{decode, failed, parameters, planes};
use super::h264_access::{self, Access};
use super::picture::Pixels;
use crate::error::{Error, Result};
use crate::host::catch;
use crate::ops::color::Colorimetry;
use rust_h264::decoder::{Decoder, Frame};
use rust_h264::nal::{NalUnitType, parse_annex_b};
use std::time::Duration;

/// Decodes a live stream. Holds back only as many pictures as the stream says it reorders. A stream that does not say
/// is assumed not to reorder until a picture comes out of order.
pub struct LiveDecoder {
    decoder: Decoder,
    depth: usize,
    most: usize,
    how: Colorimetry,
    /// Decoded but not yet shown, sorted by time.
    waiting: Vec<(Duration, Frame)>,
    shown: Option<Duration>,
    current: Option<Frame>,
    narrow: [Vec<u8>; 3],
    /// Nothing can be shown before the next keyframe.
    needs_key: bool,
    /// When the picture that decoding began with is shown.
    began: Duration,
}

/// Times that jump back by more than this are a new start of the camera's clock, not reordering.
const LONGEST_REORDERING: Duration = Duration::from_secs(2);

impl Default for LiveDecoder {
    fn default() -> Self {
        Self {
            decoder: Decoder::new(),
            depth: 0,
            most: 0,
            how: Colorimetry::BT601,
            waiting: Vec::new(),
            shown: None,
            current: None,
            narrow: Default::default(),
            needs_key: true,
            began: Duration::ZERO,
        }
    }
}

impl LiveDecoder {
    /// Notes that something was lost: nothing is shown before the next keyframe.
    pub fn lost(&mut self) {
        self.needs_key = true;
        self.waiting.clear();
    }

    /// Whether nothing can be shown before the next keyframe.
    #[must_use]
    pub const fn needs_key(&self) -> bool {
        self.needs_key
    }

    /// Decodes an access unit in Annex B form (start codes) that is to be shown at `time`.
    ///
    /// # Errors
    /// [`Error::Data`] if it is damaged; pictures resume with the next keyframe.
    pub fn push(&mut self, unit: &[u8], time: Duration, key: bool) -> Result<()> {
        if self.needs_key {
            if !key {
                return Ok(());
            }
            (self.decoder, self.needs_key, self.began) = (Decoder::new(), false, time);
        }
        // Pictures that follow a recovery point but are shown before it build on what was never received.
        if self.began.checked_sub(time).is_some_and(|before| !before.is_zero() && before < LONGEST_REORDERING) {
            return Ok(());
        }
        let decoded = self.decode_unit(unit);
        match decoded {
            Ok(Some(frame)) => {
                self.hold(time, frame);
                Ok(())
            }
            Ok(None) => Ok(()),
            Err(error) => {
                self.lost();
                Err(error)
            }
        }
    }

    fn decode_unit(&mut self, unit: &[u8]) -> Result<Option<Frame>> {
        let nals = catch(|| parse_annex_b(unit)).map_err(|_| failed("the parser panicked"))?;
        for nal in nals {
            if nal.nal_unit_type == NalUnitType::Sps {
                let info = parameters(&nal)?;
                self.how = Colorimetry::of_stream(info.matrix, info.full_range);
                self.most = info.reference_frames.min(16) as usize;
                if let Some(says) = info.max_reorder_frames {
                    self.depth = says.min(16) as usize;
                }
            }
            decode(&mut self.decoder, &nal)?;
        }
        catch(|| self.decoder.flush()).map_err(|_| failed("the decoder panicked"))
    }

    fn hold(&mut self, time: Duration, frame: Frame) {
        // A picture from before the one shown last: the stream reorders after all. A jump in time does not count.
        let late =
            self.shown.is_some_and(|shown| time < shown && shown.checked_sub(time) < Some(Duration::from_secs(1)));
        if late {
            self.depth = (self.depth + 1).min(self.most.max(1));
            return;
        }
        let at = self.waiting.partition_point(|(other, _)| *other < time);
        self.waiting.insert(at, (time, frame));
    }

    /// Returns the next picture to show, if it is certain.
    pub fn next_picture(&mut self) -> Option<(Duration, Pixels<'_>)> {
        if self.waiting.len() <= self.depth {
            return None;
        }
        let (time, frame) = self.waiting.remove(0);
        self.shown = Some(time);
        let frame = &*self.current.insert(frame);
        Some((time, Pixels::Yuv(planes(frame, &mut self.narrow), self.how)))
    }
}

impl LiveDecoder {
    /// Returns whether the picture of exactly this time is there, and drops those before it. For recordings, which know
    /// what was shown.
    pub fn has(&mut self, time: Duration) -> bool {
        self.waiting.retain(|(other, _)| *other >= time);
        self.waiting.iter().any(|(other, _)| *other == time)
    }

    /// Returns the picture of exactly this time, if it is there.
    pub fn take(&mut self, time: Duration) -> Option<Pixels<'_>> {
        let at = self.waiting.iter().position(|(other, _)| *other == time)?;
        let frame = &*self.current.insert(self.waiting.remove(at).1);
        Some(Pixels::Yuv(planes(frame, &mut self.narrow), self.how))
    }
}

/// Whether decoding can begin with an access unit in Annex B form, because everything that is shown after it is whole.
#[must_use]
pub fn can_begin_with(unit: &[u8]) -> bool {
    let offers = || catch(|| h264_access::of(&parse_annex_b(unit))).unwrap_or(Access::None);
    // Most units say at once that they are nothing of the kind.
    kinds(unit).any(|kind| matches!(kind, 5 | 6)) && matches!(offers(), Access::Idr | Access::Recovery)
}

/// Whether an access unit in Annex B form brings its own parameter set.
#[must_use]
pub fn has_parameters(unit: &[u8]) -> bool {
    kinds(unit).any(|kind| kind == 7)
}

/// The types of the NAL units up to the first slice (7.3.1).
fn kinds(unit: &[u8]) -> impl Iterator<Item = u8> {
    let mut finder = memchr::memmem::find_iter(unit, &[0, 0, 1]);
    let mut is_over = false;
    std::iter::from_fn(move || {
        let kind = *unit.get(finder.next().filter(|_| !is_over)? + 3)? & 31;
        is_over = (1..=5).contains(&kind);
        Some(kind)
    })
}

/// Returns the error for a stream that is not H.264.
#[must_use]
pub fn not_h264(codec: &str) -> Error {
    Error::Config(format!(
        "the camera sends {codec}; set it to H.264, or read it with `ffmpeg: {{ url: … }}`, which accepts any codec"
    ))
}
