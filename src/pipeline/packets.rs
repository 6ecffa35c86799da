//! Delivers the packets of a pipeline to the program that runs it.

use super::config::{Line, Pipeline, default_id};
use super::settings::Settings;
use crate::sinks::Deliver;
use crate::types::Packet;
use crossbeam_channel::{Receiver, bounded};

/// The packets of the last line of a pipeline that produces any, in order. Ends when the run ends. Dropping it ends the
/// run.
#[derive(Debug)]
pub struct Packets(Receiver<Packet>);

impl Iterator for Packets {
    type Item = Packet;

    fn next(&mut self) -> Option<Packet> {
        self.0.recv().ok()
    }
}

impl Pipeline {
    /// Adds a sink that delivers the packets of the last line that produces any. Up to `capacity` packets wait. If they
    /// are not taken, a recorded pipeline waits, and a live one drops frames. They belong to the first run that starts.
    pub fn packets(&mut self, capacity: usize) -> Packets {
        let (sender, receiver) = bounded(capacity.max(1));
        let ids: Vec<String> = self.lines.iter().map(|line| line.id.clone()).collect();
        let place = self.lines.last().map(|line| line.place).unwrap_or_default();
        let sink = Settings::Sink(Box::new(Deliver::new(sender)));
        self.lines.push(Line::new(&default_id("packets", &ids), "packets", sink, place));
        Packets(receiver)
    }
}
