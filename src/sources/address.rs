//! Addresses of cameras, with or without user and password.

use crate::error::{Error, Result};
use crate::host::redact_address;
use percent_encoding::percent_decode_str;
use url::Url;

/// An address without what is secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Without user and password.
    pub url: Url,
    /// The user, from the settings or the address.
    pub user: Option<String>,
    /// The password; empty if there is none.
    pub password: String,
}

impl Address {
    /// Takes an address apart. `user` and `password` of the settings win; those in the address are percent-decoded.
    ///
    /// # Errors
    /// [`Error::Config`] if it is not an address with one of the schemes, or if a password in it cannot be told from the
    /// rest. Nothing in front of the last `@` is shown.
    pub fn parse(
        text: &str,
        schemes: &[&str],
        example: &str,
        user: Option<&str>,
        password: Option<&str>,
    ) -> Result<Self> {
        let shown = redact_address(text);
        let bad = |why: &str| Error::Config(format!("`url: {shown}` is not an address ({why}); write {example}"));
        let (scheme, rest) = text.split_once("://").ok_or_else(|| bad("it does not begin with a scheme and ://"))?;
        if !schemes.iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
            return Err(bad(&format!("its scheme is not {}", schemes.join(" or "))));
        }
        let host_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (host, path) = rest.split_at(host_end);
        if path.contains('@') && host.contains(['@', ':']) {
            return Err(Error::Config(format!(
                "`url: {shown}`: an `@` follows a `/`, `?` or `#`: if the password has such characters, write it under `password:`, or write %2F, %3F, %23 and %40 in the address; write an `@` of the path as %40"
            )));
        }
        let (login, host) = host.rsplit_once('@').map_or((None, host), |(login, host)| (Some(login), host));
        let url = Url::parse(&format!("{scheme}://{host}{path}")).map_err(|e| bad(&e.to_string()))?;
        if url.host_str().is_none_or(str::is_empty) {
            return Err(bad("it names no host"));
        }
        let plain = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let (own_user, own_password) = match login.map(|login| login.split_once(':').unwrap_or((login, ""))) {
            Some((user, password)) => (Some(plain(user)).filter(|user| !user.is_empty()), plain(password)),
            None => (None, String::new()),
        };
        Ok(Self {
            url,
            user: user.map(str::to_owned).or(own_user),
            password: password.map_or(own_password, str::to_owned),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<(String, Option<String>, String)> {
        let found = Address::parse(text, &["rtsp"], "rtsp://camera/stream", None, None)?;
        Ok((found.url.to_string(), found.user, found.password))
    }

    #[test]
    fn user_and_password_leave_the_address() {
        let full = read("rtsp://me:p%40s%2Fs@cam:8554/a?b=c").unwrap();
        assert_eq!(full, ("rtsp://cam:8554/a?b=c".into(), Some("me".into()), "p@s/s".into()));
        // A raw `@` or `:` or `%` in a password does no harm.
        let raw = read("rtsp://me:p@s:s%@cam/a").unwrap();
        assert_eq!(raw, ("rtsp://cam/a".into(), Some("me".into()), "p@s:s%".into()));
        assert_eq!(read("rtsp://cam/a").unwrap(), ("rtsp://cam/a".into(), None, String::new()));
        assert_eq!(read("rtsp://cam/p@q").unwrap().0, "rtsp://cam/p@q");
        assert_eq!(read("RTSP://me@cam").unwrap().1, Some("me".into()));
        let given = Address::parse("http://u:v@h/", &["http"], "", Some("me"), Some("s")).unwrap();
        assert_eq!((given.user, given.password), (Some("me".into()), "s".into()));
    }

    #[test]
    fn nothing_in_front_of_the_last_at_is_shown() {
        for text in [
            "rtsp://admin:p@ss/w0rd#1@cam/s",
            "rtsp://admin:12/34@127.0.0.1",
            "rtsp://admin:se?cret@cam/s",
            "rtsp://admin:s#cret@cam/s",
            "http://admin:s3cret@cam/",
            "rtsp://admin:\"s 'cret/x@cam/s",
        ] {
            let error = read(text).unwrap_err().to_string();
            for secret in ["p@ss", "w0rd", "12/", "/34", "cret", "admin"] {
                assert!(!error.contains(secret), "{text}: {error}");
            }
        }
        assert!(read("rtsp://").unwrap_err().to_string().contains("host"));
        assert!(read("camera").unwrap_err().to_string().contains("scheme"));
    }
}
