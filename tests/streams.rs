//! Live sources against the real thing: GStreamer's RTSP server, a web server that lies, child processes that
//! misbehave, and ffmpeg. These tests wait in real time; their limits are generous, because the machine may be busy.
#![cfg(all(feature = "http", feature = "rtsp"))]
#![allow(clippy::unwrap_used)]

#[path = "support/limit.rs"]
mod limit;
mod support;

use ocelli::internals::error::Error;
use ocelli::internals::stage::LineEnv;
use rustix::process::Signal;
use sha2::Digest as _;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};
use support::pipe;
use support::servers::{PLAIN, WITH_B, free_port, rtsp};

/// A frame as the test sees it.
#[derive(Debug)]
struct Seen {
    seq: u64,
    pts: Duration,
    mean: [u32; 3],
}

/// A source that runs in a thread.
struct Playing {
    frames: Receiver<Result<Seen, Error>>,
    env: LineEnv,
}

fn play(line: &str) -> Playing {
    play_with(line, &[])
}

fn play_with(line: &str, secrets: &[&str]) -> Playing {
    let pipeline = pipe::parse(&format!("pipeline:\n- {line}\n- jsonl\n"));
    let secrets = ocelli::internals::host::Secrets::new(secrets.iter().map(|s| (*s).to_owned()).collect());
    let mut env = pipe::env(&[]);
    env.secrets = secrets;
    let ocelli::internals::pipeline::Settings::Source(config) = &pipeline.lines[0].settings else {
        panic!("no source")
    };
    let env = LineEnv::alone(&env, "cam");
    let mut source = config.open(&env).unwrap();
    let (send, frames) = channel();
    std::thread::spawn(move || {
        loop {
            let seen = match source.next() {
                Ok(None) => return,
                Ok(Some(packet)) => {
                    let frame = &packet.frame;
                    let mut mean = [0; 3];
                    frame
                        .image
                        .data
                        .as_chunks::<3>()
                        .0
                        .iter()
                        .for_each(|p| (0..3).for_each(|c| mean[c] += u32::from(p[c])));
                    let pixels = frame.image.size.pixels() as u32;
                    Ok(Seen { seq: frame.seq, pts: frame.pts, mean: mean.map(|sum| sum / pixels) })
                }
                Err(error) => Err(error),
            };
            let fatal = matches!(seen, Err(ref e) if !matches!(e, Error::Data(_)));
            if send.send(seen).is_err() || fatal {
                return;
            }
        }
    });
    Playing { frames, env }
}

impl Playing {
    fn next(&self, seconds: u64) -> Seen {
        let end = Instant::now() + Duration::from_secs(seconds);
        loop {
            match self.frames.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(Ok(seen)) => return seen,
                Ok(Err(Error::Data(_))) => {}
                other => panic!("{other:?} within {seconds} s; {:?}", self.env.health().get()),
            }
        }
    }

    fn error(&self, seconds: u64) -> Error {
        let end = Instant::now() + Duration::from_secs(seconds);
        loop {
            match self.frames.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(Err(error)) => return error,
                Ok(Ok(_)) => {}
                Err(e) => panic!("{e} within {seconds} s; {:?}", self.env.health().get()),
            }
        }
    }

    /// Waits until the source has been lost `times` times, and returns the last frame before that.
    fn until_lost(&self, times: u64, seconds: u64) -> Option<Seen> {
        let (mut last, end) = (None, Instant::now() + Duration::from_secs(seconds));
        while self.env.health().losses() < times {
            assert!(Instant::now() < end, "not lost within {seconds} s: {:?}", self.env.health().get());
            match self.frames.recv_timeout(Duration::from_millis(20)) {
                Ok(Ok(seen)) => last = Some(seen),
                Ok(Err(Error::Data(_))) | Err(RecvTimeoutError::Timeout) => {}
                other => panic!("{other:?}"),
            }
        }
        while let Ok(Ok(seen)) = self.frames.try_recv() {
            last = Some(seen);
        }
        last
    }
}

impl Drop for Playing {
    fn drop(&mut self) {
        self.env.stop.request();
    }
}

#[test]
fn rtsp_gives_every_picture_in_order_with_and_without_b_frames() {
    let _limit = limit::within(240);
    for (name, encoder) in [("plain", PLAIN), ("B-frames", WITH_B)] {
        let port = free_port();
        let Some(_server) = rtsp(port, encoder, &[]) else { return };
        let playing = play(&format!("rtsp: {{ url: 'rtsp://127.0.0.1:{port}/cam' }}"));
        let first = playing.next(15);
        // The pictures before may belong to a group that began before we connected.
        let all: Vec<Seen> = (0..90).map(|_| playing.next(10)).collect();
        assert_eq!(first.pts, Duration::ZERO);
        let mut whole = 0;
        for pair in all.windows(2) {
            let step = pair[1].pts.saturating_sub(pair[0].pts).as_secs_f64();
            let frames = pair[1].seq - pair[0].seq;
            assert!(pair[1].pts > pair[0].pts, "{name}: {pair:?}");
            // Pictures that arrived faster than this test took them are counted in `seq`.
            assert!((step - frames as f64 / 30.0).abs() < 0.002, "{name}: {pair:?}");
            whole += frames;
        }
        let by_ffmpeg = play(&format!("ffmpeg: {{ url: 'rtsp://127.0.0.1:{port}/cam' }}"));
        let other: Vec<Seen> = (0..60).map(|_| by_ffmpeg.next(15)).collect();
        assert!(
            other.windows(2).all(|pair| pair[1].pts > pair[0].pts) && by_ffmpeg.env.health().losses() == 0,
            "{other:?}"
        );
        eprintln!("{name}: {whole} pictures, {} of them taken, all 33.3 ms apart", all.len());
    }
}

#[test]
fn rtsp_comes_back_after_kill_and_after_a_freeze() {
    let _limit = limit::within(240);
    let port = free_port();
    let Some(server) = rtsp(port, PLAIN, &[]) else { return };
    let playing = play(&format!("rtsp: {{ url: 'rtsp://127.0.0.1:{port}/cam' }}"));
    let last = |frames: usize| (0..frames).fold(None, |_, _| Some(playing.next(15))).unwrap();
    let seen = last(30);
    server.signal(Signal::KILL);
    let killed = Instant::now();
    let before = playing.until_lost(1, 5).unwrap_or(seen);
    eprintln!("kill -9: noticed after {:?}: {}", killed.elapsed(), playing.env.health().get().reason);
    assert!(killed.elapsed() < Duration::from_secs(2));
    drop(server);
    std::thread::sleep(Duration::from_secs(1));
    let server = rtsp(port, PLAIN, &[]).unwrap();
    let up = Instant::now();
    let after = playing.next(15);
    eprintln!("server up again: first picture after {:?}, pts {:?} then {:?}", up.elapsed(), before.pts, after.pts);
    // By then, the wait between tries is at most 2 s.
    assert!(up.elapsed() < Duration::from_secs(6) && after.pts > before.pts && after.seq > before.seq);

    let seen = last(30);
    server.signal(Signal::STOP);
    let frozen = Instant::now();
    let before = playing.until_lost(2, 10).unwrap_or(seen);
    eprintln!("SIGSTOP: noticed after {:?}: {}", frozen.elapsed(), playing.env.health().get().reason);
    assert!(frozen.elapsed() < Duration::from_secs(4));
    std::thread::sleep(Duration::from_secs(2));
    server.signal(Signal::CONT);
    let awake = Instant::now();
    let after = playing.next(25);
    eprintln!("SIGCONT: first picture after {:?}, {} tries in all", awake.elapsed(), playing.env.health().tries());
    assert!(after.pts > before.pts && after.seq > before.seq);
    assert_eq!(playing.env.health().losses(), 2);
}

#[test]
fn rtsp_authenticates_and_a_wrong_password_is_told_without_showing_it() {
    let _limit = limit::within(240);
    for kind in ["basic", "digest"] {
        let port = free_port();
        let Some(_server) = rtsp(port, PLAIN, &[kind, "me", "s3cret"]) else { return };
        let right = play(&format!("rtsp: {{ url: 'rtsp://127.0.0.1:{port}/cam', user: me, password: s3cret }}"));
        right.next(15);
        let inside = play(&format!("rtsp: {{ url: 'rtsp://me:s3cret@127.0.0.1:{port}/cam' }}"));
        inside.next(15);
        let wrong = play(&format!("rtsp: {{ url: 'rtsp://127.0.0.1:{port}/cam', user: me, password: wr0ng }}"));
        let error = wrong.error(15);
        assert_eq!(error.exit_code(), 2, "{kind}: {error}");
        assert!(
            error.to_string().contains("rejects `user` and `password`") && !error.to_string().contains("wr0ng"),
            "{error}"
        );
        let none = play(&format!("rtsp: {{ url: 'rtsp://127.0.0.1:{port}/cam' }}")).error(15);
        assert!(none.to_string().contains("needs `user` and `password`"), "{none}");
    }
}

/// Starts an RTSP server that answers each request with a status and, for 200, a description of an H.264 stream. Its
/// challenge is that of cameras of 2023: SHA-256 in the old form.
fn rtsp_that_says(status: impl Fn(&str) -> &'static str + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().take(20) {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap());
            loop {
                let mut request = String::new();
                while lines.read_line(&mut request).is_ok_and(|n| n > 2) {}
                let Some(method) = request.split(' ').next().filter(|method| !method.is_empty()) else { break };
                let number = request.lines().find_map(|line| line.strip_prefix("CSeq: ")).unwrap_or("1");
                let status = status(&request);
                let sdp = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:track1\r\n";
                let body = if method == "DESCRIBE" && status.starts_with("200") { sdp } else { "" };
                let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
                let answer = format!(
                    "RTSP/1.0 {status}\r\nCSeq: {number}\r\nLocation: rtsp://127.0.0.1:1/other\r\n{OLD_DIGEST}\r\n{kind}Content-Length: {}\r\n\r\n{body}",
                    body.len()
                );
                if stream.write_all(answer.as_bytes()).is_err() {
                    break;
                }
            }
        }
    });
    port
}

#[test]
fn rtsp_explains_redirects_and_servers_without_tcp() {
    let _limit = limit::within(120);
    let port = rtsp_that_says(|_| "302 Moved Temporarily");
    let moved = play(&format!("rtsp: {{ url: 'rtsp://127.0.0.1:{port}/cam' }}")).error(15);
    assert!(moved.to_string().contains("redirects") && moved.exit_code() == 2, "{moved}");
    let port =
        rtsp_that_says(|request| if request.starts_with("SETUP") { "461 Unsupported Transport" } else { "200 OK" });
    let udp = play(&format!("rtsp: {{ url: 'rtsp://127.0.0.1:{port}/cam' }}")).error(15);
    assert!(udp.to_string().contains("-rtsp_transport, udp") && udp.exit_code() == 2, "{udp}");
}

const OLD_DIGEST: &str =
    "WWW-Authenticate: Digest realm=\"cam\", nonce=\"abc123\", algorithm=\"SHA-256\", stale=\"FALSE\"";

/// An answer that does not name the algorithm is taken for MD5 (RFC 7616, 3.4), and without `qop` it has no other mark.
#[test]
fn rtsp_answers_a_digest_of_the_old_form() {
    let _limit = limit::within(120);
    fn status(request: &str) -> &'static str {
        // printf 'admin:cam:p@ss' | sha256sum, and so on: response = H(H(A1):nonce:H(A2)).
        let hash = |text: String| sha2::Sha256::digest(text).iter().map(|b| format!("{b:02x}")).collect::<String>();
        let Some(login) = request.lines().find(|line| line.starts_with("Authorization:")) else {
            return "401 Unauthorized";
        };
        let uri = login.split("uri=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or_default();
        let (a1, a2) = (hash("admin:cam:p@ss".into()), hash(format!("DESCRIBE:{uri}")));
        let right = hash(format!("{a1}:abc123:{a2}"));
        let knows = login.contains("algorithm=SHA-256") && login.contains(&format!("response=\"{right}\""));
        if knows { "461 Unsupported Transport" } else { "401 Unauthorized" }
    }
    let port = rtsp_that_says(status);
    let line =
        |password: &str| format!("rtsp: {{ url: 'rtsp://127.0.0.1:{port}/cam', user: admin, password: '{password}' }}");
    let wrong = play(&line("p@ss1")).error(15);
    assert!(wrong.to_string().contains("rejects `user` and `password`"), "{wrong}");
    // Behind the login it says what is wrong.
    let right = play(&line("p@ss")).error(15);
    assert!(right.to_string().contains("does not send over TCP"), "{right}");
}

/// Pictures come, but none that decoding can begin with.
#[test]
fn rtsp_without_key_pictures_is_explained() {
    let _limit = limit::within(120);
    let port = free_port();
    let keyless = "x264enc name=keyless tune=zerolatency speed-preset=ultrafast key-int-max=3000";
    let Some(_server) = rtsp(port, keyless, &[]) else { return };
    let late = play(&format!("rtsp: {{ url: 'rtsp://127.0.0.1:{port}/cam' }}"));
    let begun = Instant::now();
    while !late.env.health().get().reason.contains("no key picture within 9 s") {
        assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", late.env.health().get());
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Returns a JPEG of a single colour.
fn jpeg(rgb: [u8; 3]) -> Vec<u8> {
    let size = ocelli::internals::types::Size::new(32, 16);
    let image = ocelli::internals::types::Image { size, data: rgb.repeat(size.pixels()), ..Default::default() };
    let mut bytes = Vec::new();
    ocelli::internals::media::jpeg::encode(&image, 90, &mut bytes).unwrap();
    bytes
}

/// Starts a web server that answers the nth connection with the nth call of `answer`, after reading the request.
/// Returns its port.
fn web(answer: impl Fn(usize, &str, &mut TcpStream) -> std::io::Result<()> + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for (nth, stream) in listener.incoming().take(40).enumerate() {
            let mut stream = stream.unwrap();
            let (mut request, mut lines) = (String::new(), BufReader::new(stream.try_clone().unwrap()));
            while lines.read_line(&mut request).is_ok_and(|n| n > 2) {}
            let _ = answer(nth, &request, &mut stream);
        }
    });
    port
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=x\r\nConnection: close\r\n\r\n";

fn part(stream: &mut TcpStream, length: &str, body: &[u8]) -> std::io::Result<()> {
    stream.write_all(format!("--x\r\nContent-Type: image/jpeg\r\n{length}\r\n").as_bytes())?;
    stream.write_all(body)?;
    stream.write_all(b"\r\n")?;
    std::thread::sleep(Duration::from_millis(30));
    Ok(())
}

#[test]
fn mjpeg_over_http_survives_lies_stalls_and_torn_parts() {
    let _limit = limit::within(240);
    let colours = [[250, 0, 0], [0, 250, 0], [0, 0, 250]];
    let pictures: Vec<Vec<u8>> = colours.iter().map(|c| jpeg(*c)).collect();
    let port = web(move |nth, _, stream| {
        stream.write_all(OK.as_bytes())?;
        match nth {
            // False lengths, and a part that ends in the middle.
            0 => {
                part(stream, "Content-Length: 5\r\n", &pictures[0])?;
                part(stream, "Content-Length: 999999999999\r\n", &pictures[1])?;
                part(stream, "", &pictures[2])?;
                part(stream, "", &pictures[2][..200])
            }
            // Silence.
            1 => {
                part(stream, "", &pictures[0])?;
                std::thread::sleep(Duration::from_secs(6));
                Ok(())
            }
            // No pictures at all.
            2 => stream.write_all(&vec![b'z'; 1 << 20]),
            _ => (0..2000).try_for_each(|n| part(stream, "", &pictures[n % 3])),
        }
    });
    let playing = play(&format!("mjpeg_http: {{ url: 'http://127.0.0.1:{port}/video' }}"));
    for (nth, colour) in colours.iter().enumerate() {
        let seen = playing.next(10);
        assert_eq!(seen.seq, nth as u64);
        assert!(seen.mean.iter().zip(colour).all(|(a, b)| a.abs_diff(u32::from(*b)) < 12), "{seen:?} of {colour:?}");
    }
    playing.until_lost(1, 5);
    assert!(playing.env.health().last_loss().contains("within a picture"), "{:?}", playing.env.health().get());
    assert_eq!(playing.next(10).seq, 3);
    playing.until_lost(2, 10);
    assert!(playing.env.health().last_loss().contains("no picture for"), "{:?}", playing.env.health().get());
    let back = playing.next(20);
    assert!(back.pts > Duration::from_secs(2), "{back:?}");
    assert!(playing.env.health().tries() >= 4);
}

#[test]
fn mjpeg_over_http_answers_challenges_and_explains_refusals() {
    let _limit = limit::within(240);
    let picture = jpeg([9, 9, 9]);
    // The server of the fourth example of RFC 7616, §3.9.1, as far as this test needs it.
    let port = web(move |_, request, stream| {
        if request.contains("authorization: Digest") || request.contains("Authorization: Digest") {
            assert!(request.contains("username=\"me\"") && request.contains("uri=\"/video?x=1\""), "{request}");
            stream.write_all(OK.as_bytes())?;
            return (0..500).try_for_each(|_| part(stream, "", &picture));
        }
        let challenge = "WWW-Authenticate: Basic realm=\"cam\"\r\nWWW-Authenticate: Digest realm=\"cam\", qop=\"auth\", algorithm=MD5, nonce=\"7ypf/xlj9XXwfDPE\"\r\n";
        stream.write_all(
            format!("HTTP/1.1 401 Unauthorized\r\n{challenge}Content-Length: 0\r\nConnection: close\r\n\r\n")
                .as_bytes(),
        )
    });
    play(&format!("mjpeg_http: {{ url: 'http://127.0.0.1:{port}/video?x=1', user: me, password: s3cret }}")).next(10);
    let none = play(&format!("mjpeg_http: {{ url: 'http://127.0.0.1:{port}/video?x=1' }}")).error(10);
    assert!(none.to_string().contains("needs `user` and `password`") && none.exit_code() == 2, "{none}");
    let page = web(|_, _, stream| {
        stream.write_all(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi",
        )
    });
    let page = play(&format!("mjpeg_http: {{ url: 'http://127.0.0.1:{page}/' }}")).error(10);
    assert!(page.to_string().contains("not a stream"), "{page}");
}

/// Servers as they are: the login behind a redirect, digests of the old form with SHA-256 (RFC 7616, 3.4: the answer names
/// the algorithm, or MD5 is meant), a second challenge, a login in the address.
#[test]
fn mjpeg_over_http_logs_in_where_it_is_asked() {
    let _limit = limit::within(240);
    let picture = jpeg([9, 9, 9]);
    let refuse = |challenges: &str| {
        format!("HTTP/1.1 401 Unauthorized\r\n{challenges}Content-Length: 0\r\nConnection: close\r\n\r\n")
    };
    let serve = move |accept: fn(&str) -> bool, challenges: &'static str, elsewhere: Option<u16>| {
        let picture = picture.clone();
        web(move |_, request, stream| {
            if let Some(port) = elsewhere {
                let to = format!("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:{port}/new?a=b\r\n");
                return stream.write_all(format!("{to}Content-Length: 0\r\nConnection: close\r\n\r\n").as_bytes());
            }
            if accept(request) {
                stream.write_all(OK.as_bytes())?;
                return (0..500).try_for_each(|_| part(stream, "", &picture));
            }
            stream.write_all(refuse(challenges).as_bytes())
        })
    };
    let show = |port: u16, login: &str| {
        play(&format!("mjpeg_http: {{ url: 'http://{login}127.0.0.1:{port}/video' }}")).next(10);
    };
    // `me:p@ss` in base 64.
    let basic = |request: &str| request.contains("Basic bWU6cEBzcw==");
    let digest = |request: &str| request.contains("Digest ") && request.contains("username=\"me\"");
    let port = serve(basic, "WWW-Authenticate: Basic realm=\"cam\"\r\n", None);
    show(port, "me:p%40ss@");
    show(port, "me:p@ss@");
    show(serve(basic, "", Some(port)), "me:p%40ss@");
    let port = serve(digest, "WWW-Authenticate: Digest realm=\"cam\", qop=\"auth\", nonce=\"abc\"\r\n", None);
    show(serve(digest, "", Some(port)), "me:p%40ss@");
    let named = |request: &str| request.contains("algorithm=SHA-256") && !request.contains("qop");
    let old = "WWW-Authenticate: Digest realm=\"cam\", nonce=\"abc123\", algorithm=\"SHA-256\", stale=\"FALSE\"\r\n";
    show(serve(named, old, None), "me:p%40ss@");
    // The server knows no SHA-256, although it offers it.
    let md5 = |request: &str| request.contains("Digest ") && !request.contains("SHA-256");
    let both = "WWW-Authenticate: Digest realm=\"cam\", nonce=\"abc\", algorithm=SHA-256\r\nWWW-Authenticate: Digest realm=\"cam\", nonce=\"abc\", algorithm=MD5\r\n";
    show(serve(md5, both, None), "me:p%40ss@");
    let in_one = "WWW-Authenticate: Digest realm=\"cam\", nonce=\"abc\", algorithm=SHA-256, Basic realm=\"cam\"\r\n";
    show(serve(basic, in_one, None), "me:p%40ss@");
    // A wrong password is told, and the password never.
    let port = serve(basic, in_one, None);
    let wrong = play(&format!("mjpeg_http: {{ url: 'http://me:wr0ng@127.0.0.1:{port}/video' }}")).error(10);
    assert!(
        wrong.to_string().contains("rejects `user` and `password`") && !wrong.to_string().contains("wr0ng"),
        "{wrong}"
    );
    // Another host must not get the password.
    let elsewhere = web(move |_, _, stream| {
        let to = format!("HTTP/1.1 302 Found\r\nLocation: http://localhost:{port}/\r\nContent-Length: 0\r\n\r\n");
        stream.write_all(to.as_bytes())
    });
    let told = play(&format!("mjpeg_http: {{ url: 'http://me:p%40ss@127.0.0.1:{elsewhere}/' }}")).error(10);
    assert!(told.to_string().contains("redirects there"), "{told}");
}

#[test]
fn a_child_that_exits_hangs_or_writes_garbage_is_started_again_and_all_it_started_dies() {
    let _limit = limit::within(240);
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(at("a.jpg"), jpeg([200, 30, 30])).unwrap();
    // `$$$$` is the shell's process id: in a pipeline, `$$` stands for a dollar sign. The first run exits, the second
    // hangs with a child of its own, the third writes garbage, the fourth works.
    let script = format!(
        "cd {}; echo $$$$ >> pids; n=$(wc -l < pids); cat a.jpg; case $n in \
         1) echo 'cannot open rtsp://u:hunter2@cam with hunter2' >&2; exit 3;; \
         2) sleep 1000 & echo $! >> children; wait;; \
         3) head -c 3000000 /dev/zero; sleep 100;; \
         *) i=0; while [ $i -lt 3000 ]; do echo noise noise noise >&2; i=$((i+1)); done; while :; do cat a.jpg; sleep 0.02; done;; esac",
        folder.path().display()
    );
    let playing = play_with(&format!("exec: {{ command: [sh, -c, \"{script}\"], format: mjpeg }}"), &["hunter2"]);
    assert!(playing.next(10).mean[0].abs_diff(200) < 12);
    playing.until_lost(1, 5);
    let reason = playing.env.health().last_loss();
    assert!(
        reason.contains("exit status: 3") && reason.contains("cannot open") && !reason.contains("hunter2"),
        "{reason}"
    );
    playing.next(10);
    playing.until_lost(2, 10);
    assert!(playing.env.health().last_loss().contains("no picture for"), "{:?}", playing.env.health().get());
    playing.next(15);
    playing.until_lost(3, 10);
    assert!(playing.env.health().last_loss().contains("no JPEG in"), "{:?}", playing.env.health().get());
    // A flood on standard error stops nothing.
    (0..20).for_each(|_| _ = playing.next(15));
    drop(playing);
    std::thread::sleep(Duration::from_secs(2));
    let pids = [at("pids"), at("children")].map(|file| std::fs::read_to_string(file).unwrap()).concat();
    assert!(pids.lines().count() >= 5 && pids.lines().all(|pid| pid.parse::<u32>().is_ok()), "{pids}");
    for pid in pids.lines() {
        let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        assert!(state.is_empty() || state.contains(") Z"), "process {pid} is still alive: {state}");
    }
}

/// The program ends only after the child that it gave up has ended, even if that child ignores SIGTERM.
#[test]
fn no_child_outlives_a_run_that_ends_because_it_hung() {
    let _limit = limit::within(240);
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("a.jpg"), jpeg([9, 9, 9])).unwrap();
    let script = "trap '' TERM; echo $$$$ > pid; cat a.jpg; sleep 1000";
    let yaml = format!(
        "pipeline:\n- exec: {{ command: [sh, -c, \"cd {}; {script}\"], format: mjpeg, on_lost: exit }}\n- jsonl\n",
        folder.path().display()
    );
    std::fs::write(at("p.yaml"), yaml).unwrap();
    let run = Command::new(env!("CARGO_BIN_EXE_ocelli")).arg("run").arg(at("p.yaml")).output().unwrap();
    assert_eq!(run.status.code(), Some(4), "{}", String::from_utf8_lossy(&run.stderr));
    let pid = std::fs::read_to_string(at("pid")).unwrap();
    let pid: u32 = pid.trim().parse().unwrap();
    let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    assert!(state.is_empty() || state.contains(") Z"), "the child is still alive: {state}");
}

#[test]
fn raw_and_y4m_frames_of_ffmpeg_come_whole_and_a_missing_program_is_told() {
    let _limit = limit::within(240);
    if !support::ffmpeg_is_installed() {
        return;
    }
    let colour = "color=c=0x4080C0:s=64x48:r=30";
    let exec = |format: &str, output: &str| {
        play(&format!(
            "exec: {{ command: [ffmpeg, -v, error, -re, -f, lavfi, -i, '{colour}', {output}, '-'], format: {format}, size: [64, 48], fps: 30 }}"
        ))
    };
    let playing = [
        exec("rgb", "-pix_fmt, rgb24, -f, rawvideo"),
        exec("yuv420", "-pix_fmt, yuv420p, -f, rawvideo"),
        exec("y4m", "-pix_fmt, yuv420p, -f, yuv4mpegpipe"),
        exec("mjpeg", "-q:v, '2', -f, mjpeg"),
        play(&format!("ffmpeg: {{ url: '{colour}', input: [-re, -f, lavfi], fps: 10, size: [32, 24] }}")),
    ];
    for (nth, playing) in playing.iter().enumerate() {
        let seen: Vec<Seen> = (0..5).map(|_| playing.next(15)).collect();
        // This allows for two roundings of YUV and for a JPEG's coarser colours.
        assert!(
            seen.iter().all(|s| s.mean.iter().zip([0x40, 0x80, 0xC0]).all(|(a, b): (&u32, u32)| a.abs_diff(b) <= 4)),
            "{nth}: {seen:?}"
        );
        assert!(seen.windows(2).all(|pair| pair[1].pts > pair[0].pts));
    }
    let clip = play("ffmpeg: { url: examples/street.mp4, input: [-re, -stream_loop, '-1'], fps: 10 }");
    (0..40).for_each(|_| _ = clip.next(15));
    assert_eq!(clip.env.health().losses(), 0);
    let missing = play("exec: { command: [no-such-program-here], format: mjpeg }").error(5);
    assert!(missing.to_string().contains("is not installed") && missing.exit_code() == 2, "{missing}");
}
