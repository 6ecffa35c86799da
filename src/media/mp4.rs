//! MP4 (plain and fragmented), using `re_mp4`: finds the H.264 track and reads its packets one by one.

use super::h264::PacketSource;
use crate::error::{Error, Result};
use crate::host::catch;
use re_mp4::{StsdBoxContent, TrackKind};
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

/// The packets of an MP4's H.264 track, in decoding order.
pub struct Mp4Packets {
    file: BufReader<File>,
    config: Vec<u8>,
    /// Offset, length, presentation time in nanoseconds.
    samples: Vec<(u64, usize, i64)>,
    next: usize,
}

/// Ends a parse that loops forever: re_mp4 0.5.1 never leaves an `avc1` box whose child has size 0.
/// A valid file takes one step per number in its tables, far fewer than one per 8 bytes of the file.
struct Patient<R> {
    input: R,
    steps_left: u64,
}

impl<R> Patient<R> {
    fn step(&mut self) -> std::io::Result<()> {
        self.steps_left =
            self.steps_left.checked_sub(1).ok_or_else(|| std::io::Error::other("its boxes make the parser loop"))?;
        Ok(())
    }
}

impl<R: Read> Read for Patient<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.step()?;
        self.input.read(buffer)
    }
}

impl<R: Seek> Seek for Patient<R> {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.step()?;
        self.input.seek(to)
    }
}

/// Returns how many samples the boxes between `at` and `end` claim to hold (`stsz`, `trun`: ISO/IEC 14496-12, §8.7.3
/// and §8.8.8). re_mp4 0.5.1 allocates an entry for each before it checks that they exist: 785 bytes took 9 GB.
fn claimed_samples(file: &mut (impl Read + Seek), mut at: u64, end: u64, depth: u32) -> std::io::Result<u64> {
    let mut claimed = 0u64;
    while at + 8 <= end {
        // A 64-bit size, version and flags, and two numbers; bytes past the end stay zero.
        let mut head = [0; 28];
        file.seek(SeekFrom::Start(at))?;
        file.by_ref().take((end - at).min(28)).read_exact(&mut head[..(end - at).min(28) as usize])?;
        let word = |from: usize| u64::from(u32::from_be_bytes([0, 1, 2, 3].map(|byte| head[from + byte])));
        let (size, body) = match word(0) {
            0 => (end - at, 8),
            1 => (word(8) << 32 | word(12), 16),
            size => (size, 8),
        };
        let next = at.saturating_add(size.max(body as u64)).min(end);
        claimed = claimed.saturating_add(match &head[4..8] {
            b"moov" | b"trak" | b"mdia" | b"minf" | b"stbl" | b"moof" | b"traf" if depth < 8 => {
                claimed_samples(file, at + body as u64, next, depth + 1)?
            }
            b"trun" => word(body + 4),
            b"stsz" => word(body + 8),
            _ => 0,
        });
        at = next;
    }
    Ok(claimed)
}

/// The largest sample that is accepted.
const MAX_SAMPLE: u64 = 64 << 20;

/// Opens a file; the inner `Err` names a codec that is not H.264.
///
/// # Errors
/// [`Error::Data`] if it is damaged or has no video, [`Error::Io`].
pub fn open(path: &Path) -> Result<Result<Mp4Packets, String>> {
    let io = |e| Error::io(path, e);
    let file = File::open(path).map_err(io)?;
    let length = file.metadata().map_err(io)?.len();
    let mut file = BufReader::new(file);
    // Each sample has at least one byte.
    if claimed_samples(&mut file, 0, length, 0).map_err(io)? > length {
        return Err(Error::Data("MP4: its tables claim more pictures than it has bytes".into()));
    }
    file.seek(SeekFrom::Start(0)).map_err(io)?;
    let mut file = Patient { input: file, steps_left: 200_000 + length / 8 };
    // Malicious boxes may make the parser panic; that means a bad file and must not end the program.
    let parsed = catch(|| re_mp4::Mp4::read(&mut file, length));
    let file = file.input;
    let mp4 = match parsed {
        Ok(Ok(mp4)) => mp4,
        Ok(Err(e)) => return Err(Error::Data(format!("MP4: {e}"))),
        Err(_) => return Err(Error::Data("MP4: damaged boxes".into())),
    };
    let Some(track) = mp4.tracks().values().find(|track| track.kind == Some(TrackKind::Video)) else {
        return Ok(Err("a codec that is not H.264".into()));
    };
    if !matches!(track.trak(&mp4).mdia.minf.stbl.stsd.contents, StsdBoxContent::Avc1(_)) {
        return Ok(Err(track.codec_string(&mp4).unwrap_or_else(|| "a codec that is not H.264".into())));
    }
    let turned = &track.trak(&mp4).tkhd.matrix;
    if turned.b != 0 || turned.c != 0 || turned.a < 0 || turned.d < 0 {
        // ffmpeg rotates the pictures as the file asks.
        return Ok(Err("rotated H.264".into()));
    }
    let config = track.raw_codec_config(&mp4).ok_or_else(|| Error::Data("MP4: no parameter sets".into()))?;
    let mut samples = Vec::with_capacity(track.samples.len());
    for sample in &track.samples {
        let end = sample.offset.checked_add(sample.size);
        if sample.size > MAX_SAMPLE || end.is_none_or(|end| end > length) {
            return Err(Error::Data(format!(
                "MP4: picture {} lies outside the file; the file was cut off",
                samples.len()
            )));
        }
        let scale = i128::from(sample.timescale.max(1));
        let nanos = i128::from(sample.composition_timestamp) * 1_000_000_000 / scale;
        samples.push((sample.offset, sample.size as usize, i64::try_from(nanos).unwrap_or(i64::MAX)));
    }
    Ok(Ok(Mp4Packets { file, config, samples, next: 0 }))
}

impl PacketSource for Mp4Packets {
    fn next_packet(&mut self, data: &mut Vec<u8>) -> Result<Option<i64>> {
        let Some(&(offset, length, time)) = self.samples.get(self.next) else { return Ok(None) };
        self.next += 1;
        data.resize(length, 0);
        self.file.seek(SeekFrom::Start(offset)).map_err(|e| Error::io("MP4", e))?;
        self.file.read_exact(data).map_err(|e| Error::io("MP4", e))?;
        Ok(Some(time))
    }

    fn config(&self) -> &[u8] {
        &self.config
    }

    fn count(&self) -> Option<u64> {
        Some(self.samples.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_that_claim_more_than_the_file_holds_are_refused() {
        let boxed = |name: &[u8], body: &[u8]| [&(body.len() as u32 + 8).to_be_bytes(), name, body].concat();
        let run = boxed(b"trun", &[0, 0, 0, 0, 0x7F, 0xFF, 0xFF, 0xFF]);
        let file = [boxed(b"ftyp", b"isom\0\0\0\0"), boxed(b"moof", &boxed(b"traf", &run))].concat();
        let claimed = claimed_samples(&mut std::io::Cursor::new(&file), 0, file.len() as u64, 0).unwrap();
        assert_eq!(claimed, 0x7FFF_FFFF);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.mp4");
        std::fs::write(&path, &file).unwrap();
        assert!(open(&path).err().unwrap().to_string().contains("more pictures than it has bytes"));
    }
}
