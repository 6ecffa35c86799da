//! HTTP with redirects and authentication: a challenge is answered at the address that asks.

use super::address::Address;
use crate::error::{Error, Result};
use crate::host::Secrets;
use http_auth::PasswordClient;
use ureq::http::{Response, header};
use ureq::{Agent, Body};
use url::Url;

/// The most redirects that are followed.
const MOST: usize = 10;

/// Gets an address: follows redirects, and answers challenges with user and password, the strongest first. They are sent
/// only to the host that the user named.
///
/// # Errors
/// [`Error::Config`] if user and password are needed or rejected, [`Error::Device`].
pub fn get(agent: &Agent, address: &Address, secrets: &Secrets) -> Result<Response<Body>> {
    let mut url = address.url.clone();
    for _ in 0..=MOST {
        let response = ask(agent, &url, None, secrets)?;
        let response =
            if response.status() == 401 { log_in(agent, &url, address, secrets, &response)? } else { response };
        if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
            return Ok(response);
        }
        let Some(to) = response.headers().get(header::LOCATION) else {
            return Err(Error::Device(format!("{url}: redirects (status {}), but not where to", response.status())));
        };
        url = url
            .join(&String::from_utf8_lossy(to.as_bytes()))
            .map_err(|e| Error::Device(format!("{url}: redirects to no address: {e}")))?;
        // What a server puts into an address is no login of ours.
        let _ = (url.set_username(""), url.set_password(None));
    }
    Err(Error::Device(format!("{}: more than {MOST} redirects, the last to {url}", address.url)))
}

fn ask(agent: &Agent, url: &Url, authorization: Option<&str>, secrets: &Secrets) -> Result<Response<Body>> {
    let mut request = agent.get(url.as_str());
    if let Some(value) = authorization {
        request = request.header("Authorization", value);
    }
    request.call().map_err(|e| Error::Device(format!("{url}: {}", secrets.redact(&e.to_string()))))
}

/// Tries the server's challenges in turn.
fn log_in(
    agent: &Agent,
    url: &Url,
    address: &Address,
    secrets: &Secrets,
    first: &Response<Body>,
) -> Result<Response<Body>> {
    let Some(user) = &address.user else {
        return Err(Error::Config(format!("{url}: needs `user` and `password`")));
    };
    if url.scheme() == "http" && address.url.scheme() == "https" {
        return Err(Error::Config(format!(
            "{url}: the redirect leaves HTTPS, and user and password would be sent in the open; ask for the right address"
        )));
    }
    if url.host() != address.url.host() {
        let own = address.url.host_str().unwrap_or_default();
        return Err(Error::Config(format!(
            "{url}: {own} redirects there, and it asks for user and password; if you trust it, write this address under `url`"
        )));
    }
    let texts = first.headers().get_all(header::WWW_AUTHENTICATE).iter();
    let texts: Vec<String> = texts.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect();
    let mut clients: Vec<PasswordClient> = texts
        .iter()
        .flat_map(|text| http_auth::parse_challenges(text).unwrap_or_default())
        .filter_map(|challenge| PasswordClient::try_from(&challenge).ok())
        .collect();
    clients.sort_by_key(strength);
    let path = &url[url::Position::BeforePath..url::Position::AfterQuery];
    let mut refused = None;
    while let Some(mut client) = clients.pop() {
        let params = http_auth::PasswordParams {
            username: user,
            password: &address.password,
            uri: path,
            method: "GET",
            body: Some(&[]),
        };
        let answer = client.respond(&params).map_err(|e| Error::Device(format!("{url}: authentication: {e}")))?;
        let response = ask(agent, url, Some(&answer), secrets)?;
        if response.status() != 401 {
            return Ok(response);
        }
        refused = Some(response);
    }
    refused.ok_or_else(|| Error::Config(format!("{url}: requires an authentication that is neither basic nor digest")))
}

/// The strongest challenge is answered first.
fn strength(client: &PasswordClient) -> u8 {
    match client {
        PasswordClient::Digest(digest) => match name(digest) {
            "SHA-512-256" => 3,
            "SHA-256" => 2,
            _ => 1,
        },
        _ => 0,
    }
}

fn name(digest: &http_auth::DigestClient) -> &'static str {
    match digest.algorithm() {
        http_auth::digest::Algorithm::Sha256 => "SHA-256",
        http_auth::digest::Algorithm::Sha512Trunc256 => "SHA-512-256",
        _ => "MD5",
    }
}
