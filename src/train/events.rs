//! Curves for TensorBoard: a file of events, to which each epoch adds its numbers.
//!
//! A record is its length, a checksum of that, the event, a checksum of it (TensorFlow, `record_writer.cc`); an event is the
//! message of `event.proto`. The checksum is CRC-32C; it is written here because it is ten lines and no crate of the tree has it.

use super::trainer::Row;
use crate::error::{Error, Result};
use prost::Message;
use std::io::Write as _;
use std::path::Path;

#[derive(Clone, PartialEq, Message)]
struct Event {
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(string, optional, tag = "3")]
    file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
}

#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Scalar>,
}

#[derive(Clone, PartialEq, Message)]
struct Scalar {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, tag = "2")]
    simple_value: f32,
}

/// CRC-32C (Castagnoli), rotated as records want it.
fn checksum(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0x82F6_3B78 & (0_u32.wrapping_sub(crc & 1)));
        }
    }
    (!crc).rotate_right(15).wrapping_add(0xA282_EAD8)
}

fn record(event: &Event) -> Vec<u8> {
    let data = event.encode_to_vec();
    let length = (data.len() as u64).to_le_bytes();
    let mut bytes = length.to_vec();
    bytes.extend(checksum(&length).to_le_bytes());
    bytes.extend(&data);
    bytes.extend(checksum(&data).to_le_bytes());
    bytes
}

/// Adds an epoch, the `number`th of its training from 1, at a time in seconds since 1970.
///
/// # Errors
/// [`Error::Io`].
pub fn add(folder: &Path, row: &Row, metric: &str, number: usize, time: f64) -> Result<()> {
    let path = folder.join("events.out.tfevents.0000000000.ocelli");
    let io = |e| Error::io(&path, e);
    let mut file = std::fs::File::options().append(true).create(true).open(&path).map_err(io)?;
    let mut bytes = Vec::new();
    if file.metadata().map_err(io)?.len() == 0 {
        let version = Some("brain.Event:2".to_owned());
        bytes = record(&Event { wall_time: time, file_version: version, ..Event::default() });
    }
    let scalar = |tag: String, value: f64| Scalar { tag, simple_value: value as f32 };
    let mut value = vec![scalar("rate".into(), row.rate)];
    value.extend(row.train.iter().map(|(name, value)| scalar(format!("train/{name}"), *value)));
    value.extend(row.val.iter().map(|(name, value)| scalar(format!("val/{name}"), *value)));
    value.extend(row.metric.map(|value| scalar(metric.to_owned(), value)));
    let summary = Some(Summary { value });
    bytes.extend(record(&Event { wall_time: time, step: number as i64, summary, ..Event::default() }));
    file.write_all(&bytes).map_err(io)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_the_standard() {
        // RFC 3720, B.4: 32 bytes of zeros give 0x8a9136aa, before it is rotated.
        let rotated = 0x8A91_36AA_u32.rotate_right(15).wrapping_add(0xA282_EAD8);
        assert_eq!(checksum(&[0; 32]), rotated);
    }
}
