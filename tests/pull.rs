//! `ocelli models pull` against a local HTTP server: complete, cut off and resumed, wrong, refused, through a
//! proxy.
#![cfg(feature = "pull")]
#![allow(clippy::unwrap_used)]

#[path = "support/limit.rs"]
mod limit;

use sha2::{Digest, Sha256};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

/// How the server behaves.
#[derive(Clone, Copy, PartialEq)]
enum Mood {
    Good,
    /// Closes the connection after half of what was requested.
    CutsOff,
    /// Does not support ranges.
    NoRanges,
    /// Sends different bytes.
    Lies,
    NotFound,
}

struct Server {
    port: u16,
    mood: Arc<Mutex<Mood>>,
    /// The request lines and `Range` headers that were received.
    seen: Arc<Mutex<Vec<String>>>,
}

fn serve(body: Vec<u8>) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (mood, seen) = (Arc::new(Mutex::new(Mood::Good)), Arc::new(Mutex::new(Vec::new())));
    let (its_mood, its_seen) = (Arc::clone(&mood), Arc::clone(&seen));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            answer(stream.unwrap(), &body, *its_mood.lock().unwrap(), &its_seen);
        }
    });
    Server { port, mood, seen }
}

fn answer(mut stream: TcpStream, body: &[u8], mood: Mood, seen: &Mutex<Vec<String>>) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let request = lines.next().unwrap().unwrap();
    let headers: Vec<String> = lines.map(Result::unwrap).take_while(|line| !line.is_empty()).collect();
    let range = headers.iter().find(|h| h.to_lowercase().starts_with("range:")).cloned().unwrap_or_default();
    seen.lock().unwrap().push(format!("{request} {range}"));
    let from: usize = range.split(['=', '-']).nth(1).and_then(|n| n.trim().parse().ok()).unwrap_or(0);
    let head = |status: &str, length: usize| {
        format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n")
    };
    let _ = match mood {
        Mood::NotFound => stream.write_all(head("404 Not Found", 0).as_bytes()),
        Mood::Lies => {
            let lie = vec![7; body.len()];
            stream.write_all(head("200 OK", lie.len()).as_bytes()).and_then(|()| stream.write_all(&lie))
        }
        Mood::NoRanges => stream.write_all(head("200 OK", body.len()).as_bytes()).and_then(|()| stream.write_all(body)),
        Mood::CutsOff => {
            let rest = &body[from..];
            let _ = stream.write_all(head("200 OK", rest.len()).as_bytes());
            stream.write_all(&rest[..rest.len() / 2])
        }
        Mood::Good => {
            let status = if from > 0 { "206 Partial Content" } else { "200 OK" };
            let rest = &body[from.min(body.len())..];
            stream.write_all(head(status, rest.len()).as_bytes()).and_then(|()| stream.write_all(rest))
        }
    };
}

fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

fn zoo(url: &str, body: &[u8], convert: &str) -> String {
    let card = std::fs::read_to_string("models/scene_tags/card.yaml").unwrap();
    let card: String = card.lines().map(|line| format!("    {line}\n")).collect();
    let card = if convert.is_empty() { card } else { card.replace(&hash(body), "SHA256") };
    let name = if convert.is_empty() { "model.onnx" } else { "original.tflite" };
    format!(
        "tags:\n  what: a test\n  license: MIT OR Apache-2.0\n  files:\n  - name: {name}\n    bytes: {}\n    sha256: {}\n    urls: [{url}]\n{convert}  card: |\n{card}",
        body.len(),
        hash(body)
    )
}

fn pull(folder: &Path, more: &[&str], proxy: Option<&str>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ocelli"));
    command.args(["models", "pull", "tags", "--zoo"]).arg(folder.join("zoo.yaml")).arg("--into").arg(folder).args(more);
    for name in
        ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"]
    {
        command.env_remove(name);
    }
    if let Some(proxy) = proxy {
        command.env("HTTP_PROXY", proxy).env("http_proxy", proxy);
    }
    command.env("OCELLI_CACHE", folder.join("cache")).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn a_model_is_downloaded_resumed_checked_and_installed() {
    let _limit = limit::within(180);
    let body = std::fs::read("models/scene_tags/model.onnx").unwrap();
    let server = serve(body.clone());
    let folder = tempfile::tempdir().unwrap();
    let url = format!("http://127.0.0.1:{}/tags.onnx", server.port);
    std::fs::write(folder.path().join("zoo.yaml"), zoo(&url, &body, "")).unwrap();
    let set = |mood| *server.mood.lock().unwrap() = mood;
    let part = folder.path().join("tags/model.onnx.part");

    set(Mood::NotFound);
    let output = pull(folder.path(), &[], None);
    assert_eq!(output.status.code(), Some(4), "{}", said(&output));
    assert!(said(&output).contains("HTTP status 404") && said(&output).contains("HTTPS_PROXY"), "{}", said(&output));

    set(Mood::Lies);
    let output = pull(folder.path(), &[], None);
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    assert!(said(&output).contains("has sha256") && !part.exists(), "{}", said(&output));

    // Cut off, then resumed: what has arrived is not requested again.
    set(Mood::CutsOff);
    let output = pull(folder.path(), &[], None);
    assert!(said(&output).contains("try again to resume"), "{}", said(&output));
    assert_eq!(std::fs::metadata(&part).unwrap().len(), body.len() as u64 / 2);
    assert!(!folder.path().join("tags/card.yaml").exists(), "half a model is not installed");
    set(Mood::Good);
    let output = pull(folder.path(), &[], None);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let range = format!("bytes={}-", body.len() / 2);
    assert!(server.seen.lock().unwrap().last().unwrap().contains(&range), "{:?}", server.seen.lock().unwrap());
    assert_eq!(std::fs::read(folder.path().join("tags/model.onnx")).unwrap(), body);
    assert!(said(&output).contains("classifier, 256x144"), "{}", said(&output));
    let again = pull(folder.path(), &[], None);
    assert!(said(&again).contains("is already installed"), "{}", said(&again));

    // A server that does not support ranges sends everything again.
    std::fs::remove_dir_all(folder.path().join("tags")).unwrap();
    std::fs::create_dir(folder.path().join("tags")).unwrap();
    std::fs::write(&part, &body[..1000]).unwrap();
    set(Mood::NoRanges);
    assert_eq!(pull(folder.path(), &[], None).status.code(), Some(0));
}

#[test]
fn a_proxy_is_used_and_no_network_is_said_clearly() {
    let _limit = limit::within(180);
    let body = std::fs::read("models/scene_tags/model.onnx").unwrap();
    let proxy = serve(body.clone());
    let folder = tempfile::tempdir().unwrap();
    // A host that does not exist: only the proxy can answer.
    std::fs::write(folder.path().join("zoo.yaml"), zoo("http://models.invalid/tags.onnx", &body, "")).unwrap();
    let output = pull(folder.path(), &[], None);
    assert_eq!(output.status.code(), Some(4), "{}", said(&output));
    assert!(said(&output).contains("models.invalid") && said(&output).contains("get it by hand"), "{}", said(&output));
    let output = pull(folder.path(), &[], Some(&format!("http://127.0.0.1:{}", proxy.port)));
    let seen = proxy.seen.lock().unwrap().join("\n");
    assert!(seen.contains("models.invalid"), "the proxy was not asked: {seen}: {}", said(&output));
}

#[test]
fn nothing_is_converted_behind_the_users_back() {
    let _limit = limit::within(180);
    let body = std::fs::read("models/scene_tags/model.onnx").unwrap();
    let server = serve(body.clone());
    let folder = tempfile::tempdir().unwrap();
    let url = format!("http://127.0.0.1:{}/original.tflite", server.port);
    let text = zoo(&url, &body, "  convert: python -m tf2onnx.convert --tflite original.tflite --output model.onnx\n");
    std::fs::write(folder.path().join("zoo.yaml"), text).unwrap();
    let output = pull(folder.path(), &[], None);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(said(&output).contains("python -m tf2onnx.convert"), "{}", said(&output));
    assert!(!folder.path().join("tags/card.yaml").exists());
    let output = pull(folder.path(), &["--converted", "models/scene_tags/model.onnx"], None);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let card = std::fs::read_to_string(folder.path().join("tags/card.yaml")).unwrap();
    assert!(card.contains(&hash(&body)) && !card.contains("SHA256"));
    // The converted file may already be where it belongs.
    let model = folder.path().join("tags/model.onnx");
    std::fs::remove_file(folder.path().join("tags/card.yaml")).unwrap();
    assert_eq!(pull(folder.path(), &["--converted", model.to_str().unwrap()], None).status.code(), Some(0));
    assert_eq!(std::fs::read(&model).unwrap(), body);
    // A model that cannot be run is not installed.
    std::fs::remove_dir_all(folder.path().join("tags")).unwrap();
    let output = pull(folder.path(), &["--converted", "models/scene_x2/model.onnx"], None);
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    assert!(!folder.path().join("tags/card.yaml").exists());
}
