//! Downloads that resume where they stopped.

use crate::cli::progress;
use crate::infer::zoo::ZooFile;
use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::path::Path;
use std::time::Duration;

/// Downloads to `part`, resuming where an earlier attempt stopped.
pub(super) fn download(url: &str, part: &Path, file: &ZooFile) -> Result<(), String> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_connect(Some(Duration::from_secs(15)))
        .timeout_recv_response(Some(Duration::from_secs(30)))
        .timeout_recv_body(Some(Duration::from_mins(30)))
        .http_status_as_error(false)
        .user_agent(concat!("ocelli/", env!("CARGO_PKG_VERSION")))
        .build()
        .into();
    let have = std::fs::metadata(part).map_or(0, |m| m.len());
    if file.bytes == Some(have) && have > 0 {
        return Ok(());
    }
    let mut request = agent.get(url);
    if have > 0 {
        request = request.header("Range", format!("bytes={have}-"));
    }
    let response = request.call().map_err(|e| e.to_string())?;
    let status = response.status().as_u16();
    // 206: the rest; 200: all of it again; 416: there is nothing beyond what we have.
    let resumed = match status {
        206 => true,
        200 => false,
        416 if have > 0 && file.sha256.is_some() => return Ok(()),
        other => return Err(format!("HTTP status {other}")),
    };
    let range = response.headers().get("content-range").and_then(|v| v.to_str().ok()).unwrap_or_default();
    if resumed && !range.is_empty() && !range.starts_with(&format!("bytes {have}-")) {
        return Err(format!("asked for the bytes from {have} on, but got {range:?}"));
    }
    let io = |e: std::io::Error| e.to_string();
    let mut out =
        OpenOptions::new().create(true).write(true).append(resumed).truncate(!resumed).open(part).map_err(io)?;
    let bar = progress::bytes(file.bytes.unwrap_or(0), if resumed { have } else { 0 });
    let mut body = response.into_body().into_reader();
    let mut chunk = vec![0; 1 << 16];
    let mut got = if resumed { have } else { 0 };
    loop {
        let n = body.read(&mut chunk).map_err(|e| format!("{e} after {got} bytes; try again to resume"))?;
        if n == 0 {
            break;
        }
        out.write_all(&chunk[..n]).map_err(io)?;
        got += n as u64;
        bar.set_position(got);
        // A server that never stops sending must not fill the disk.
        if file.bytes.is_some_and(|bytes| got > bytes) || got > 1 << 30 {
            drop(out);
            let _ = std::fs::remove_file(part);
            return Err(format!("sent more than the {} bytes that the zoo lists", file.bytes.unwrap_or(1 << 30)));
        }
    }
    bar.finish_and_clear();
    match file.bytes {
        Some(bytes) if got < bytes => Err(format!("ended after {got} of {bytes} bytes; try again to resume")),
        _ => Ok(()),
    }
}
