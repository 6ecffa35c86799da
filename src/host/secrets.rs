//! Secrets, which must not be shown.

use std::sync::Arc;

/// Values of `${…}`. They are removed from everything that a child process, a driver or a server says.
#[derive(Clone, Debug, Default)]
pub struct Secrets(Arc<[String]>);

/// Shorter texts are not secrets, and removing them would mangle ordinary words.
const SHORTEST: usize = 3;

impl Secrets {
    /// Creates a set of secrets to remove.
    #[must_use]
    pub fn new(mut secrets: Vec<String>) -> Self {
        secrets.retain(|secret| secret.len() >= SHORTEST);
        // The longer ones first: one may be part of another.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Self(secrets.into())
    }

    /// These secrets and `more`.
    #[must_use]
    pub fn with(&self, more: Vec<String>) -> Self {
        Self::new(self.0.iter().cloned().chain(more).collect())
    }

    /// Returns the text without secrets, and without what comes before the `@` of an address.
    #[must_use]
    pub fn redact(&self, text: &str) -> String {
        let mut out = text.to_owned();
        for secret in &*self.0 {
            if out.contains(secret.as_str()) {
                out = out.replace(secret.as_str(), "${…}");
            }
        }
        redact_addresses(&out)
    }
}

/// `rtsp://user:password@host/` becomes `rtsp://…@host/`.
#[must_use]
pub fn redact_addresses(text: &str) -> String {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find("://") {
        let (head, tail) = rest.split_at(at + 3);
        out.push_str(head);
        let word = tail.find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'')).unwrap_or(tail.len());
        rest = match login_end(&tail[..word]) {
            Some(user) => {
                out.push('…');
                &tail[user..]
            }
            None => tail,
        };
    }
    out.push_str(rest);
    out
}

/// Returns where the login part of an address without its scheme ends: at the last `@`, because a password may contain
/// one, and a slash or worse.
fn login_end(rest: &str) -> Option<usize> {
    let host = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    // Without a user in front of it, an `@` behind the host belongs to the path.
    rest.rfind('@').filter(|_| rest[..host].contains(['@', ':']))
}

/// Like [`redact_addresses`] for a text that is one address, whatever is in it.
#[must_use]
pub fn redact_address(address: &str) -> String {
    let Some(start) = address.find("://").map(|at| at + 3) else {
        return if address.contains('@') { "…".into() } else { address.to_owned() };
    };
    match login_end(&address[start..]) {
        Some(end) => format!("{}…{}", &address[..start], &address[start + end..]),
        None => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_and_user_parts_are_taken_out() {
        let secrets = Secrets::new(vec!["hunter2".into(), "a".into()]);
        assert_eq!(secrets.redact("a wrong hunter2!"), "a wrong ${…}!");
        assert_eq!(secrets.redact("rtsp://me:pw@cam:554/x and http://h/p@q"), "rtsp://…@cam:554/x and http://h/p@q");
        assert_eq!(secrets.redact("rtsp://me:p/w@cam/x"), "rtsp://…@cam/x");
        assert_eq!(secrets.redact("no address"), "no address");
        assert_eq!(redact_addresses("rtsp://admin:p@ss/w0rd#1@cam/s!"), "rtsp://…@cam/s!");
        assert_eq!(redact_addresses("at rtsp://cam:554/a, b"), "at rtsp://cam:554/a, b");
        assert_eq!(redact_address("rtsp://admin:p \" @ss/w0rd#1@cam/s"), "rtsp://…@cam/s");
    }
}
