//! Streams of IP cameras over RTSP, through `retina`.

use super::address::Address;
use crate::error::{Error, Result};
use crate::host::Secrets;
use crate::media::h264_live::{LiveDecoder, can_begin_with, has_parameters, not_h264};
use crate::stage::{Care, Env, Feed, LineEnv, Link, OnLost, Shot, Source, SourceConfig, Unit, Watch, live};
use crate::types::CodedForm;
use crate::yaml::Span;
use futures_util::StreamExt;
use retina::client::{
    Credentials, Demuxed, PlayOptions, Session, SessionGroup, SessionOptions, SetupOptions, TcpTransportOptions,
    Transport,
};
use retina::codec::{CodecItem, FrameFormat, ParametersRef, VideoParametersCodec};
use serde::Deserialize;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use url::Url;

/// The H.264 stream of an IP camera by RTSP over TCP, with basic or digest authentication. The stream is watched, and
/// opened again after a loss; `pts` continues through all losses.
///
/// `- rtsp: { url: "rtsp://camera/stream1", user: admin, password: "${CAMERA_PASSWORD}" }`
///
/// For cameras that send H.265, use `ffmpeg`.
#[derive(Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rtsp {
    /// The address of the stream; it may contain user and password, too.
    pub url: String,
    /// User name.
    #[serde(default)]
    pub user: Option<String>,
    /// Password; `${NAME}` or `${file:PATH}` is safer than the password itself.
    #[serde(default)]
    pub password: Option<String>,
    /// What happens when the stream is lost.
    #[serde(default)]
    pub on_lost: OnLost,
    /// Time without a picture that counts as a loss; if not given, 2 s or 10 frame intervals.
    #[serde(default)]
    pub stall_after: Option<Span>,
}

/// How long the camera may take for each answer.
const ANSWER: Duration = Duration::from_secs(5);
/// How often the reading thread checks whether anyone is still waiting.
const LOOK: Duration = Duration::from_millis(100);
/// How long pictures may come without one that decoding can begin with; less than the time after which the source counts as
/// lost without a reason.
const NO_KEY: Duration = Duration::from_secs(9);
/// How long closing the session may take.
const FAREWELL: Duration = Duration::from_millis(500);

impl Rtsp {
    fn address(&self) -> Result<Address> {
        let (user, password) = (self.user.as_deref(), self.password.as_deref());
        Address::parse(&self.url, &["rtsp"], "rtsp://camera/stream", user, password)
    }
}

impl SourceConfig for Rtsp {
    fn is_live(&self) -> bool {
        true
    }

    fn check(&self, _env: &Env) -> Result<()> {
        self.address().map(|_| ())
    }

    fn link(&self, env: &Env) -> Option<Box<dyn Link>> {
        let Address { url, user, password } = self.address().ok()?;
        // Also a password that is written in the YAML itself.
        let secrets = env.secrets.with(vec![password.clone()]);
        let credentials = user.map(|username| Credentials { username, password });
        Some(Box::new(RtspLink { url, credentials, secrets }))
    }

    fn care(&self) -> Care {
        Care { on_lost: self.on_lost, stall_after: self.stall_after.map(|span| span.0) }
    }

    fn open(&self, env: &LineEnv) -> Result<Box<dyn Source>> {
        live::open(self, env)
    }
}

struct RtspLink {
    url: Url,
    credentials: Option<Credentials>,
    secrets: Secrets,
}

impl RtspLink {
    fn failed(&self, what: &str, error: &retina::Error) -> Error {
        // The first line gives the reason; the rest is meant for developers of servers.
        let said = error.to_string();
        let said = self.secrets.redact(said.lines().next().unwrap_or_default());
        match (error.status_code(), &self.credentials) {
            (Some(401 | 403), None) => Error::Config(format!("{}: needs `user` and `password`", self.url)),
            (Some(401 | 403), Some(_)) => Error::Config(format!("{}: rejects `user` and `password`", self.url)),
            (Some(status @ (301 | 302 | 303 | 307 | 308)), _) => Error::Config(format!(
                "{}: the camera redirects to another address (status {status}); write that one under `url` (`ffmpeg -v debug -i ADDRESS` shows it), or use `ffmpeg: {{ url: … }}`, which follows",
                self.url
            )),
            (Some(461), _) => Error::Config(format!(
                "{}: the camera does not send over TCP (status 461); use `ffmpeg: {{ url: …, input: [-rtsp_transport, udp] }}`",
                self.url
            )),
            (Some(404), _) => Error::Device(format!("{}: has no such stream", self.url)),
            _ => Error::Device(format!("{}: {what}: {said}", self.url)),
        }
    }

    async fn open(&self, group: &Arc<SessionGroup>) -> Result<(Demuxed, String)> {
        let late = |what: &'static str| {
            move |_| Error::Device(format!("{}: {what}: no answer within {} s", self.url, ANSWER.as_secs()))
        };
        let options = SessionOptions::default()
            .creds(self.credentials.clone())
            .session_group(Arc::clone(group))
            .user_agent(concat!("ocelli/", env!("CARGO_PKG_VERSION")).into());
        let described = tokio::time::timeout(ANSWER, Session::describe(self.url.clone(), options)).await;
        let mut session = described.map_err(late("DESCRIBE"))?.map_err(|e| self.failed("DESCRIBE", &e))?;
        let videos = || session.streams().iter().enumerate().filter(|(_, stream)| stream.media() == "video");
        let Some((index, about)) = videos()
            .find(|(_, stream)| stream.encoding_name() == "h264")
            .map(|(index, stream)| (index, format!("{}: H.264", stream.control().unwrap_or(&self.url))))
        else {
            let codec =
                videos().next().map_or("no video".to_owned(), |(_, stream)| stream.encoding_name().to_uppercase());
            return Err(not_h264(&codec));
        };
        let options = SetupOptions::default()
            .transport(Transport::Tcp(TcpTransportOptions::default()))
            .frame_format(FrameFormat::SIMPLE);
        let set_up = tokio::time::timeout(ANSWER, session.setup(index, options)).await;
        set_up.map_err(late("SETUP"))?.map_err(|e| self.failed("SETUP", &e))?;
        let playing = tokio::time::timeout(ANSWER, session.play(PlayOptions::default())).await;
        let playing = playing.map_err(late("PLAY"))?.map_err(|e| self.failed("PLAY", &e))?;
        Ok((playing.demuxed().map_err(|e| self.failed("PLAY", &e))?, about))
    }
}

impl Link for RtspLink {
    fn connect(&self, watch: &Watch) -> Result<Box<dyn Feed>> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|e| Error::io("network", e))?;
        let group = Arc::<SessionGroup>::default();
        let (stream, about) = runtime.block_on(self.open(&group))?;
        Ok(Box::new(Playing {
            runtime,
            stream: Some(stream),
            group,
            about,
            address: self.url.to_string(),
            secrets: self.secrets.clone(),
            watch: watch.clone(),
            decoder: LiveDecoder::default(),
            fresh: true,
            unkeyed: None,
            unit: Vec::new(),
        }))
    }
}

struct Playing {
    runtime: Runtime,
    stream: Option<Demuxed>,
    group: Arc<SessionGroup>,
    about: String,
    address: String,
    secrets: Secrets,
    watch: Watch,
    decoder: LiveDecoder,
    /// Nothing has been read yet.
    fresh: bool,
    /// A unit with the parameter sets in front of it.
    unit: Vec<u8>,
    /// Since when pictures have come, but none that decoding can begin with.
    unkeyed: Option<Instant>,
}

impl Feed for Playing {
    fn read(&mut self, shot: &mut Shot) -> Result<bool> {
        loop {
            if let Some((time, pixels)) = self.decoder.next_picture() {
                shot.media = Some(time);
                shot.coded.form = CodedForm::Unit(time);
                let _ = pixels.to_rgb(&mut shot.image)?;
                return Ok(true);
            }
            let Some(stream) = &mut self.stream else { return Ok(false) };
            if self.watch.is_over() {
                return Err(Error::Device("given up".into()));
            }
            let next = self.runtime.block_on(async { tokio::time::timeout(LOOK, stream.next()).await });
            let frame = match next {
                Ok(None) => return Err(Error::Device(format!("{}: the server closed the stream", self.address))),
                Ok(Some(Err(e))) => {
                    let said = e.to_string();
                    let said = self.secrets.redact(said.lines().next().unwrap_or_default());
                    return Err(Error::Device(format!("{}: {said}", self.address)));
                }
                Ok(Some(Ok(CodecItem::VideoFrame(frame)))) => frame,
                // Nothing yet, or nothing for us.
                Err(_) | Ok(Some(Ok(_))) => continue,
            };
            // Times before that of the first picture are negative for streams with B-frames.
            let ticks = i128::from(frame.timestamp().elapsed()) * 1_000_000_000;
            let nanos = ticks / i128::from(frame.timestamp().clock_rate().get()) + 3_600_000_000_000;
            let time = Duration::from_nanos(u64::try_from(nanos).unwrap_or(0));
            let lost = frame.loss();
            if lost > 0 {
                self.decoder.lost();
            }
            let key = frame.is_random_access_point() || can_begin_with(frame.data());
            let mut data = frame.data();
            if key && !has_parameters(data) {
                // Some cameras send them only in the description of the stream.
                let parameters = stream.streams()[frame.stream_id()].parameters();
                self.unit.clear();
                if let Some(ParametersRef::Video(parameters)) = parameters
                    && let VideoParametersCodec::H264 { sps, pps } = parameters.codec_params()
                {
                    for set in [sps, pps] {
                        self.unit.extend_from_slice(&[0, 0, 0, 1]);
                        self.unit.extend_from_slice(set);
                    }
                }
                self.unit.extend_from_slice(data);
                data = &self.unit;
            }
            self.watch.unit(&Unit { data, time, key, lost: lost > 0 || self.fresh });
            self.fresh = false;
            self.decoder.push(data, time, key)?;
            if !self.decoder.needs_key() {
                self.unkeyed = None;
            } else if self.unkeyed.get_or_insert_with(Instant::now).elapsed() > NO_KEY {
                return Err(Error::Device(format!(
                    "{}: no key picture within {} s, although other pictures come; set the camera's key picture (I-frame) interval to 1 or 2 s, or read it with `ffmpeg: {{ url: … }}`",
                    self.address,
                    NO_KEY.as_secs()
                )));
            }
            if lost > 0 {
                return Err(Error::Data(format!("{lost} packets were lost; waiting for a keyframe")));
            }
        }
    }

    fn about(&self) -> String {
        self.about.clone()
    }
}

impl Drop for Playing {
    fn drop(&mut self) {
        // Tells the server, if it still listens.
        let (stream, group) = (self.stream.take(), Arc::clone(&self.group));
        self.runtime.block_on(async move {
            drop(stream);
            let _ = tokio::time::timeout(FAREWELL, group.await_teardown()).await;
        });
    }
}
