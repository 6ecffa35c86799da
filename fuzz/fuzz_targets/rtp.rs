//! Any bytes as RTP packets of H.264: put together by `retina`, decoded by us, with losses between them.
//!
//! cargo install cargo-fuzz; cargo +nightly fuzz run rtp fuzz/seeds/rtp -- -max_len=16384 -rss_limit_mb=3072

#![no_main]

use libfuzzer_sys::fuzz_target;
use ocelli::media::h264_live::LiveDecoder;
use ocelli::types::Image;
use retina::codec::{CodecItem, Depacketizer, FrameFormat};
use retina::rtp::ReceivedPacketBuilder;
use retina::{PacketContext, Timestamp};
use std::num::NonZeroU32;
use std::time::Duration;

fuzz_target!(|bytes: &[u8]| {
    let mut decoder = LiveDecoder::default();
    let mut image = Image::default();
    let Ok(mut joiner) = Depacketizer::new("video", "h264", 90_000, None, Some("packetization-mode=1")) else { return };
    joiner.set_frame_format(FrameFormat::SIMPLE);
    let clock = NonZeroU32::new(90_000).expect("not zero");
    let (mut rest, mut ticks, mut sequence_number) = (bytes, 0i64, 0u16);
    // Each packet: flags (1 mark, 2 loss, the rest a step of time), two bytes of length, the payload.
    while let [flags, high, low, tail @ ..] = rest {
        let length = (usize::from(*high) << 8 | usize::from(*low)).min(tail.len());
        ticks += i64::from(flags >> 2) * 90;
        sequence_number = sequence_number.wrapping_add(1);
        let packet = ReceivedPacketBuilder {
            ctx: PacketContext::dummy(),
            stream_id: 0,
            sequence_number,
            timestamp: Timestamp::new(ticks, clock, 0).expect("small"),
            payload_type: 96,
            ssrc: 1,
            mark: flags & 1 != 0,
            loss: u16::from(flags & 2 != 0),
        };
        rest = &tail[length..];
        let Ok(packet) = packet.build(tail[..length].iter().copied()) else { continue };
        if joiner.push(packet).is_err() {
            return;
        }
        while let Some(Ok(item)) = joiner.pull() {
            let CodecItem::VideoFrame(frame) = item else { continue };
            if frame.loss() > 0 {
                decoder.lost();
            }
            let time = Duration::from_millis(frame.timestamp().elapsed().unsigned_abs() / 90);
            let _ = decoder.push(frame.data(), time, frame.is_random_access_point());
            while let Some((_, pixels)) = decoder.next_picture() {
                let _ = pixels.to_rgb(&mut image);
            }
        }
    }
});
