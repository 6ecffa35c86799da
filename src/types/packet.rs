//! A frame and everything found in it so far.

use super::row::{Row, Scratch};
use super::{Class, Detection, Found, Frame, Heatmap, Image, Mask, ModelInput, Objects};
use std::sync::Arc;
use std::time::Duration;

/// Generates [`Products`], [`Packet`] and the table behind both, so that what a packet can carry is defined in one
/// place.
///
/// An entry lists the field with its type, its bit, its noun in messages, the stage that produces it, and whether it is
/// an `answer` (a row with it is written even if `jsonl` leaves out empty rows) or stands `aside`. The type's [`Row`]
/// implementation defines how a row shows it.
macro_rules! products {
    ($($(#[doc = $doc:literal])* $field:ident: $type:ty = $bit:ident, $noun:literal, $giver:literal, $kind:ident;)+) => {
        /// Numbers the products in the order of the table.
        #[allow(clippy::upper_case_acronyms)]
        enum Bit {
            $($bit,)+
        }

        bitflags::bitflags! {
            /// One bit for each optional field of [`Packet`]: what a line needs and what it produces.
            #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
            pub struct Products: u32 {
                $($(#[doc = $doc])* const $bit = 1 << Bit::$bit as u32;)+
            }
        }

        /// A row of the table.
        struct Entry {
            product: Products,
            key: &'static str,
            noun: &'static str,
            giver: &'static str,
        }

        const TABLE: &[Entry] = &[
            $(Entry { product: Products::$bit, key: stringify!($field), noun: $noun, giver: $giver },)+
        ];

        /// A frame and everything found in it so far. Cloning copies pointers, never pixels.
        #[derive(Clone, Debug)]
        #[non_exhaustive]
        pub struct Packet {
            /// The picture.
            pub frame: Arc<Frame>,
            $($(#[doc = $doc])* pub $field: Option<$type>,)+
            /// The clock's time when the frame left its source; set by the runner, for deadlines.
            pub born: Duration,
        }

        impl Packet {
            /// Creates a packet in which nothing has been found yet.
            #[must_use]
            pub const fn new(frame: Arc<Frame>) -> Self {
                Self { frame, $($field: None,)+ born: Duration::ZERO }
            }

            /// Whether anything was found that is worth a row.
            #[must_use]
            pub fn has_answer(&self) -> bool {
                $(products!(@is $kind) && self.$field.as_ref().is_some_and(|value| !Row::is_empty(value)))||+
            }

            /// Writes the products in `which` that the packet carries, each as `,"key":value`. `scratch` may be used
            /// again and again.
            ///
            /// # Errors
            /// Returns an error if writing to `out` fails.
            pub fn write_products(
                &self,
                which: Products,
                out: &mut String,
                scratch: &mut Scratch,
            ) -> std::fmt::Result {
                $(if which.contains(Products::$bit) && let Some(value) = &self.$field {
                    Row::write(value, stringify!($field), out, scratch)?;
                })+
                Ok(())
            }
        }
    };
    (@is answer) => { true };
    (@is aside) => { false };
}

products! {
    /// What a model sees of the frame.
    input: Arc<ModelInput> = INPUT, "a model input", "resize", aside;
    /// Objects; best first after `nms`.
    detections: Found<Objects> = DETECTIONS, "detections", "detect", answer;
    /// The picture with boxes drawn on it, or a picture made by a model.
    canvas: Arc<Image> = CANVAS, "an annotated picture", "annotate", aside;
    /// What is really there; known only for a rendered `scene` or a recording of one.
    truth: Found<Arc<Vec<Detection>>> = TRUTH, "the truth", "scene", aside;
    /// What the whole frame shows, best first.
    classes: Found<Arc<Vec<Class>>> = CLASSES, "what the frame shows", "classify", answer;
    /// The class of each pixel.
    mask: Found<Arc<Mask>> = MASK, "a class map", "segment", answer;
    /// Where a classifier looked.
    heatmap: Found<Arc<Heatmap>> = HEATMAP, "a heatmap", "cam", aside;
    /// How badly a model reconstructed the frame: the mean squared error of its normalised values.
    error: Found<f32> = ERROR, "a reconstruction", "reconstruct", answer;
}

impl Products {
    /// The names of the fields, for messages and drawings of the graph: `input, detections`.
    #[must_use]
    pub fn words(self) -> String {
        let words: Vec<&str> = self.entries().map(|entry| entry.key).collect();
        words.join(", ")
    }

    /// What each is called in messages, and the part that produces it, so that messages can say how to get it.
    pub fn nouns_and_givers(self) -> impl Iterator<Item = (&'static str, &'static str)> {
        self.entries().map(|entry| (entry.noun, entry.giver))
    }

    /// The product that a row writes under this key; empty if none does.
    #[must_use]
    pub fn of_key(key: &str) -> Self {
        TABLE.iter().find(|entry| entry.key == key).map_or(Self::empty(), |entry| entry.product)
    }

    fn entries(self) -> impl Iterator<Item = &'static Entry> {
        TABLE.iter().filter(move |entry| self.contains(entry.product))
    }
}

impl Packet {
    /// The name of a class of `detections`; `None` if the model has no names.
    #[must_use]
    pub fn label(&self, class: u16) -> Option<&str> {
        self.detections.as_ref()?.by.label(class)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_nouns_and_bits_belong_together() {
        assert_eq!((Products::INPUT | Products::MASK).words(), "input, mask");
        assert_eq!(Products::of_key("mask"), Products::MASK);
        assert_eq!(Products::of_key("masks"), Products::empty());
        assert_eq!(Products::ERROR.nouns_and_givers().next(), Some(("a reconstruction", "reconstruct")));
        assert_eq!(TABLE.len(), Products::all().iter().count());
    }

    /// Products of later subsystems need one entry each and nothing else.
    #[allow(dead_code)]
    mod more {
        use super::super::*;
        use std::fmt::Write as _;

        #[derive(Clone, Debug)]
        pub struct Track {
            id: u64,
        }

        impl Row for Found<Arc<Vec<Track>>> {
            fn write(&self, key: &str, out: &mut String, _: &mut Scratch) -> std::fmt::Result {
                write!(out, ",\"{key}\":{:?}", self.iter().map(|track| track.id).collect::<Vec<_>>())
            }
            fn is_empty(&self) -> bool {
                self.items.is_empty()
            }
        }

        products! {
            /// Regions to look at.
            proposals: Found<Arc<Vec<Detection>>> = PROPOSALS, "proposals", "propose", aside;
            /// A mask for each object.
            instances: Found<Arc<Vec<Mask>>> = INSTANCES, "instance masks", "detect", answer;
            /// Objects over time.
            tracks: Found<Arc<Vec<Track>>> = TRACKS, "tracks", "track", answer;
            /// What happened.
            events: Found<Arc<Vec<Track>>> = EVENTS, "events", "count", answer;
        }

        impl Row for Found<Arc<Vec<Mask>>> {
            fn write(&self, key: &str, out: &mut String, _: &mut Scratch) -> std::fmt::Result {
                write!(out, ",\"{key}\":{}", self.len())
            }
        }

        #[test]
        fn tracks_and_events_are_an_entry_each() {
            let mut packet = Packet::new(Arc::default());
            assert!(!packet.has_answer());
            packet.proposals = Some(Found::default());
            assert!(!packet.has_answer(), "proposals alone are not worth a row");
            packet.tracks = Some(Found { items: Arc::new(vec![Track { id: 7 }]), by: Arc::default() });
            let mut row = String::new();
            packet.write_products(Products::all() - Products::PROPOSALS, &mut row, &mut Scratch::new()).unwrap();
            assert_eq!((packet.has_answer(), row.as_str()), (true, ",\"tracks\":[7]"));
            assert_eq!(TABLE.iter().map(|entry| entry.key).collect::<Vec<_>>()[3], "events");
            assert_eq!((TABLE[2].noun, TABLE[2].giver, TABLE[2].product), ("tracks", "track", Products::TRACKS));
        }
    }
}
