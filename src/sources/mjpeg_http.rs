//! MJPEG over HTTP, as most IP cameras, ESP32 cameras and mjpg-streamer send it.

use super::address::Address;
use super::http_login;
use crate::error::{Error, Result};
use crate::host::Secrets;
use crate::media::jpeg::LiveJpeg;
use crate::media::mjpeg::MjpegReader;
use crate::stage::{Care, Env, Feed, LineEnv, Link, OnLost, Shot, Source, SourceConfig, Watch, live};
use crate::yaml::Span;
use serde::Deserialize;
use std::io::Read;
use std::time::Duration;

/// JPEG pictures in a multipart response over HTTP or HTTPS, with basic or digest authentication.
///
/// `- mjpeg_http: { url: "http://camera/video.mjpg", user: admin, password: "${CAMERA_PASSWORD}" }`
///
/// Boundaries and lengths are not trusted: a picture ends where its JPEG data ends, and is available at once.
#[derive(Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MjpegHttp {
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

/// How long the camera may take to answer.
const ANSWER: Duration = Duration::from_secs(5);

impl MjpegHttp {
    fn address(&self) -> Result<Address> {
        let (user, password) = (self.user.as_deref(), self.password.as_deref());
        Address::parse(&self.url, &["http", "https"], "http://camera/video.mjpg", user, password)
    }
}

impl SourceConfig for MjpegHttp {
    fn is_live(&self) -> bool {
        true
    }

    fn check(&self, _env: &Env) -> Result<()> {
        self.address().map(|_| ())
    }

    fn link(&self, env: &Env) -> Option<Box<dyn Link>> {
        let address = self.address().ok()?;
        // Also a password that is written in the YAML itself.
        let secrets = env.secrets.with(vec![address.password.clone()]);
        Some(Box::new(HttpLink { address, stall_after: self.stall_after, secrets }))
    }

    fn care(&self) -> Care {
        Care { on_lost: self.on_lost, stall_after: self.stall_after.map(|span| span.0) }
    }

    fn open(&self, env: &LineEnv) -> Result<Box<dyn Source>> {
        live::open(self, env)
    }
}

struct HttpLink {
    address: Address,
    stall_after: Option<Span>,
    secrets: Secrets,
}

impl Link for HttpLink {
    fn connect(&self, watch: &Watch) -> Result<Box<dyn Feed>> {
        // A thread that was abandoned ends with this, too.
        let silence = self.stall_after.map_or(ANSWER, |span| span.0.max(ANSWER));
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .timeout_connect(Some(ANSWER))
            .timeout_recv_response(Some(ANSWER))
            .timeout_per_read(Some(silence))
            .http_status_as_error(false)
            .max_redirects(0)
            .user_agent(concat!("ocelli/", env!("CARGO_PKG_VERSION")))
            .build()
            .into();
        let response = http_login::get(&agent, &self.address, &self.secrets)?;
        let (status, shown) = (response.status().as_u16(), self.address.url.to_string());
        match status {
            200 => {}
            401 | 403 => return Err(Error::Config(format!("{shown}: rejects `user` and `password`"))),
            other => return Err(Error::Device(format!("{shown}: HTTP status {other}"))),
        }
        let kind = response.headers().get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
        if kind.starts_with("text/") || kind.starts_with("image/") {
            return Err(Error::Config(format!(
                "{shown}: sends `{kind}`, not a stream; find the address of the MJPEG stream in the camera's manual"
            )));
        }
        let body: Box<dyn Read> = Box::new(response.into_body().into_with_config().limit(u64::MAX).reader());
        Ok(Box::new(Receiving {
            pictures: MjpegReader::new(body),
            jpegs: LiveJpeg::default(),
            shown,
            recorded: watch.is_recorded(),
        }))
    }
}

struct Receiving {
    pictures: MjpegReader<Box<dyn Read>>,
    jpegs: LiveJpeg,
    shown: String,
    recorded: bool,
}

impl Feed for Receiving {
    fn read(&mut self, shot: &mut Shot) -> Result<bool> {
        shot.media = None;
        let lost = |what: String| Error::Device(format!("{}: {what}", self.shown));
        match self.pictures.next_picture() {
            Ok(Some(picture)) => {
                self.jpegs.decode(picture, &mut shot.image)?;
                if self.recorded {
                    shot.coded.set_jpeg(picture);
                }
                Ok(true)
            }
            Ok(None) => Err(lost("the server closed the stream".into())),
            Err(error @ Error::Data(_)) => Err(error),
            Err(error) => Err(lost(error.to_string())),
        }
    }

    fn about(&self) -> String {
        format!("{}: MJPEG", self.shown)
    }
}
