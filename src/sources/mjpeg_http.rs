//! MJPEG over HTTP, as most IP cameras, ESP32 cameras and mjpg-streamer send it.

use crate::error::{Error, Result};
use crate::host::{Secrets, redact_addresses};
use crate::media::jpeg;
use crate::media::mjpeg::MjpegReader;
use crate::stage::{Care, Env, Feed, LineEnv, Link, OnLost, Shot, Source, SourceConfig, Watch, live};
use crate::yaml::Span;
use serde::Deserialize;
use std::io::Read;
use std::time::Duration;
use ureq::http::Uri;

/// JPEG pictures in a multipart response over HTTP or HTTPS, with basic or digest authentication.
///
/// `- mjpeg_http: { url: "http://camera/video.mjpg", user: admin, password: "${CAMERA_PASSWORD}" }`
///
/// Boundaries and lengths are not trusted: a picture ends where its JPEG data ends, and is available at once.
#[derive(Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MjpegHttp {
    /// The address of the stream.
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

impl SourceConfig for MjpegHttp {
    fn is_live(&self) -> bool {
        true
    }

    fn check(&self, _env: &Env) -> Result<()> {
        let uri = self.url.parse::<Uri>().ok();
        if uri.is_some_and(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some()) {
            return Ok(());
        }
        let shown = redact_addresses(&self.url);
        Err(Error::Config(format!("`url: {shown}` is not an address; write http://camera/video.mjpg")))
    }

    fn link(&self, env: &Env) -> Option<Box<dyn Link>> {
        let secrets = env.secrets.with(self.password.iter().cloned().collect());
        Some(Box::new(HttpLink { settings: self.clone(), secrets }))
    }

    fn care(&self) -> Care {
        Care { on_lost: self.on_lost, stall_after: self.stall_after.map(|span| span.0) }
    }

    fn open(&self, env: &LineEnv) -> Result<Box<dyn Source>> {
        live::open(self, env)
    }
}

struct HttpLink {
    settings: MjpegHttp,
    secrets: Secrets,
}

impl HttpLink {
    fn shown(&self) -> String {
        self.secrets.redact(&self.settings.url)
    }

    fn get(&self, agent: &ureq::Agent, authorization: Option<&str>) -> Result<ureq::http::Response<ureq::Body>> {
        let mut request = agent.get(&self.settings.url);
        if let Some(value) = authorization {
            request = request.header("Authorization", value);
        }
        request.call().map_err(|e| Error::Device(format!("{}: {}", self.shown(), self.secrets.redact(&e.to_string()))))
    }

    /// Answers the server's challenge.
    fn answer(&self, response: &ureq::http::Response<ureq::Body>) -> Result<String> {
        let shown = self.shown();
        let Some(user) = &self.settings.user else {
            return Err(Error::Config(format!("{shown}: needs `user` and `password`")));
        };
        let challenges = response.headers().get_all("www-authenticate").iter();
        let mut client = challenges
            .filter_map(|value| http_auth::PasswordClient::try_from(value.to_str().ok()?).ok())
            .max_by_key(|client| matches!(client, http_auth::PasswordClient::Digest(_)))
            .ok_or_else(|| {
                Error::Config(format!("{shown}: requires an authentication that is neither basic nor digest"))
            })?;
        let uri = self.settings.url.parse::<Uri>().ok();
        let path = uri.as_ref().and_then(|uri| Some(uri.path_and_query()?.as_str())).unwrap_or("/");
        let password = self.settings.password.as_deref().unwrap_or_default();
        let params = http_auth::PasswordParams { username: user, password, uri: path, method: "GET", body: Some(&[]) };
        client.respond(&params).map_err(|e| Error::Device(format!("{shown}: authentication: {e}")))
    }
}

impl Link for HttpLink {
    fn connect(&self, watch: &Watch) -> Result<Box<dyn Feed>> {
        // A thread that was abandoned ends with this, too.
        let silence = self.settings.stall_after.map_or(ANSWER, |span| span.0.max(ANSWER));
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .timeout_connect(Some(ANSWER))
            .timeout_recv_response(Some(ANSWER))
            .timeout_per_read(Some(silence))
            .http_status_as_error(false)
            .user_agent(concat!("ocelli/", env!("CARGO_PKG_VERSION")))
            .build()
            .into();
        let mut response = self.get(&agent, None)?;
        if response.status() == 401 {
            let answer = self.answer(&response)?;
            response = self.get(&agent, Some(&answer))?;
        }
        let (status, shown) = (response.status().as_u16(), self.shown());
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
        Ok(Box::new(Receiving { pictures: MjpegReader::new(body), shown, recorded: watch.is_recorded() }))
    }
}

struct Receiving {
    pictures: MjpegReader<Box<dyn Read>>,
    shown: String,
    recorded: bool,
}

impl Feed for Receiving {
    fn read(&mut self, shot: &mut Shot) -> Result<bool> {
        shot.media = None;
        let lost = |what: String| Error::Device(format!("{}: {what}", self.shown));
        match self.pictures.next_picture() {
            Ok(Some(picture)) => {
                jpeg::decode_whole(picture, &mut shot.image)?;
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
