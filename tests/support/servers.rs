//! Servers that send streams.

use rustix::process::Signal;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

/// A child process that ends with the test.
pub struct Server(pub Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Server {
    pub fn signal(&self, signal: Signal) {
        super::send(signal, &self.0);
    }
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Starts GStreamer's RTSP server with a moving test picture. Returns `None`, with a message, if it is not installed.
pub fn rtsp(port: u16, encoder: &str, auth: &[&str]) -> Option<Server> {
    let launch = format!(
        "( videotestsrc is-live=true pattern=ball ! video/x-raw,width=320,height=240,framerate=30/1 ! {encoder} ! rtph264pay name=pay0 config-interval=-1 )"
    );
    let child = Command::new("/usr/bin/python3")
        .args(["tests/rtsp_server.py", &port.to_string(), &launch])
        .args(auth)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let child = match child {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            super::skipped("install GStreamer's RTSP server (scripts/setup.sh)");
            return None;
        }
        child => child.unwrap(),
    };
    let (mut server, mut line, mut said) = (Server(child), String::new(), String::new());
    BufReader::new(server.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    if line.trim() == "ready" {
        return Some(server);
    }
    let _ = server.0.stderr.take().unwrap().read_to_string(&mut said);
    assert!(said.contains("not available") || said.contains("No module"), "{said}");
    super::skipped("install GStreamer's RTSP server (scripts/setup.sh)");
    None
}

pub const PLAIN: &str = "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=15";
pub const WITH_B: &str =
    "x264enc bframes=2 b-adapt=false rc-lookahead=0 sync-lookahead=0 speed-preset=fast key-int-max=15";
