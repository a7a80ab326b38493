//! Origins of pages, and the names under which this replica is asked.
//!
//! Every page that a user opens can send requests to a replica on the user's own machine. Two checks keep
//! pages of other sites out. The browser names the page's origin, which must be the origin of the request
//! itself or one that the operator listed. And the request must be for a name that is surely this replica's:
//! the owner of any other name can point it to this machine while his page is open (DNS rebinding), and his
//! page then has the same origin as the request.

use std::str::FromStr;

use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use url::Host;

use super::error::ApiError;

/// The scheme, host and port of a page, in one form: lower case, and with the scheme's default port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    scheme: Scheme,
    host: Host,
    port: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    Http,
    Https,
}

impl Scheme {
    const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

impl FromStr for Origin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = || {
            let (scheme, rest) = text.split_once("://")?;
            let scheme = match scheme.to_ascii_lowercase().as_str() {
                "http" => Scheme::Http,
                "https" => Scheme::Https,
                _ => return None,
            };
            let RequestHost { host, port } = RequestHost::parse(rest)?;
            Some(Self { scheme, host, port: port.unwrap_or(scheme.default_port()) })
        };
        parse().ok_or_else(|| {
            format!("{text} is not an origin; write scheme://host or scheme://host:port, without a path, for example https://exchange.example")
        })
    }
}

/// The host and port of a request's `Host` header.
#[derive(Clone, Debug, PartialEq, Eq)]
struct RequestHost {
    host: Host,
    /// `None` for the default port of the scheme. Behind a proxy with TLS, the replica does not see which.
    port: Option<u16>,
}

impl RequestHost {
    fn parse(text: &str) -> Option<Self> {
        // Neither can be part of a host, but `Authority` also reads user names.
        if text.contains('@') {
            return None;
        }
        let authority = Authority::from_str(text).ok()?;
        let port = match authority.port() {
            Some(port) => Some(port.as_str().parse().ok()?),
            // An empty or an unreadable port.
            None if authority.as_str().len() > authority.host().len() => return None,
            None => None,
        };
        Some(Self { host: Host::parse(authority.host()).ok()?, port })
    }

    fn is(&self, origin: &Origin) -> bool {
        self.host == origin.host && self.port.unwrap_or(origin.scheme.default_port()) == origin.port
    }
}

/// The origins that the operator listed with `--origin`, and the checks of a request against them.
#[derive(Clone, Debug, Default)]
pub struct Origins(Vec<Origin>);

impl Origins {
    pub const fn new(origins: Vec<Origin>) -> Self {
        Self(origins)
    }

    /// Checks that a request names one host, and that this host is the replica's: an IP address,
    /// `localhost`, or the host of a listed origin.
    pub fn check_host(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        let host = request_host(headers)?;
        // No address is compared with the listen address: port forwarding and address translation change
        // it, and rebinding needs a name.
        let is_ours = match &host.host {
            Host::Ipv4(_) | Host::Ipv6(_) => true,
            Host::Domain(name) => {
                name == "localhost" || self.0.iter().any(|origin| origin.host == host.host)
            }
        };
        if is_ours {
            return Ok(());
        }
        let name = host.host;
        let message = format!(
            "this replica does not answer for the host {name}; use an IP address or localhost, or start it with --origin http://{name} or --origin https://{name}"
        );
        Err(ApiError::new(StatusCode::MISDIRECTED_REQUEST, "wrong_host", message))
    }

    /// Refuses what a page of another origin asks for. Programs send no `Origin`.
    pub fn check_origin(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        match self.origin(headers)? {
            PageOrigin::Other => Err(other_origin()),
            PageOrigin::None | PageOrigin::Same | PageOrigin::Listed => Ok(()),
        }
    }

    /// Refuses a request that can change something, if a page of another origin asks for it.
    pub fn check_write(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        match self.origin(headers)? {
            PageOrigin::Listed => Ok(()),
            PageOrigin::Other => Err(other_origin()),
            // A browser that leaves out the origin still says whether page and request are of one site.
            // `same-site` is not enough: every port of localhost is the same site.
            PageOrigin::None | PageOrigin::Same => match one(headers, &SEC_FETCH_SITE) {
                Ok(None | Some("same-origin" | "none")) => Ok(()),
                _ => Err(other_origin()),
            },
        }
    }

    fn origin(&self, headers: &HeaderMap) -> Result<PageOrigin, ApiError> {
        // An opaque origin is sent as `null`, which is no origin that could be listed.
        let Ok(text) = one(headers, &header::ORIGIN) else { return Ok(PageOrigin::Other) };
        let Some(text) = text else { return Ok(PageOrigin::None) };
        let Ok(origin) = text.parse::<Origin>() else { return Ok(PageOrigin::Other) };
        if self.0.contains(&origin) {
            return Ok(PageOrigin::Listed);
        }
        // The scheme is not compared with the request's, which the replica does not see behind a proxy.
        let is_same = request_host(headers)?.is(&origin);
        Ok(if is_same { PageOrigin::Same } else { PageOrigin::Other })
    }
}

/// The origin of the page that sent a request.
enum PageOrigin {
    /// No page, or one whose browser does not say.
    None,
    /// The origin of the request itself.
    Same,
    Listed,
    Other,
}

fn other_origin() -> ApiError {
    let message = "pages of other origins are not allowed to do this; if this is your page, start the replica with --origin and the page's origin";
    ApiError::new(StatusCode::FORBIDDEN, "other_origin", message)
}

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The value of a header that may occur once.
fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, ()> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() {
        return Err(());
    }
    first.map(|value| value.to_str().map_err(|_| ())).transpose()
}

fn request_host(headers: &HeaderMap) -> Result<RequestHost, ApiError> {
    let host = one(headers, &header::HOST).ok().flatten().and_then(RequestHost::parse);
    host.ok_or_else(|| {
        let message =
            "the request must have exactly one header `Host`, with a host and perhaps a port";
        ApiError::bad_request("bad_host", message)
    })
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn origins(listed: &[&str]) -> Origins {
        Origins::new(listed.iter().map(|text| text.parse().unwrap()).collect())
    }

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn one_origin_has_many_spellings() {
        let same = |a: &str, b: &str| a.parse::<Origin>().unwrap() == b.parse().unwrap();
        assert!(same("https://exchange.example", "HTTPS://Exchange.EXAMPLE:443"));
        assert!(same("http://exchange.example:80", "http://exchange.example"));
        assert!(same("http://[::1]:8080", "http://[0:0:0:0:0:0:0:1]:8080"));
        assert!(!same("https://exchange.example", "http://exchange.example"));
        assert!(!same("https://exchange.example", "https://exchange.example:8443"));
        assert!(!same("https://exchange.example", "https://evil.exchange.example"));
    }

    #[test]
    fn an_origin_is_a_scheme_a_host_and_perhaps_a_port() {
        for text in [
            "null",
            "",
            "exchange.example",
            "https://",
            "https://exchange.example/",
            "https://exchange.example/page",
            "https://exchange.example?a",
            "https://user@exchange.example",
            "https://exchange.example:",
            "https://exchange.example:x",
            "https://exchange.example:65536",
            "https://exchange example",
            "https://[::1",
            "ftp://exchange.example",
            "file://",
        ] {
            let error = text.parse::<Origin>().unwrap_err();
            assert!(error.contains("scheme://host"), "{text}: {error}");
        }
    }

    #[test]
    fn the_host_is_an_address_localhost_or_listed() {
        let listed = origins(&["https://exchange.example"]);
        for host in [
            "127.0.0.1:8080",
            "127.0.0.1",
            "10.1.2.3:80",
            "[::1]:8080",
            "localhost:8080",
            "LOCALHOST",
            "exchange.example",
            "Exchange.Example:443",
        ] {
            assert!(listed.check_host(&headers(&[("host", host)])).is_ok(), "{host}");
        }
        for (host, code) in [
            ("evil.example:8080", "wrong_host"),
            ("exchange.example.evil.example", "wrong_host"),
            ("127.0.0.1.evil.example", "wrong_host"),
            ("localhost.evil.example", "wrong_host"),
            ("", "bad_host"),
            ("127.0.0.1:x", "bad_host"),
            ("user@127.0.0.1", "bad_host"),
            ("a b", "bad_host"),
        ] {
            let error = listed.check_host(&headers(&[("host", host)])).unwrap_err();
            assert_eq!(error.detail().code, code, "{host}");
        }
        assert!(listed.check_host(&headers(&[])).is_err());
        let two = [("host", "127.0.0.1"), ("host", "127.0.0.1")];
        assert!(listed.check_host(&headers(&two)).is_err());
    }

    #[test]
    fn a_page_acts_on_its_own_origin_and_where_its_origin_is_listed() {
        let listed = origins(&["https://exchange.example"]);
        let check = |lines: &[(&'static str, &'static str)]| listed.check_origin(&headers(lines));
        for (host, origin) in [
            ("127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("LOCALHOST:80", "http://localhost"),
            ("localhost", "http://localhost:80"),
            // Behind a proxy that terminates TLS and passes the host on.
            ("exchange.example", "https://exchange.example"),
            // Behind a proxy that names its upstream as the host.
            ("127.0.0.1:8080", "https://exchange.example"),
            ("127.0.0.1:8080", "https://Exchange.Example:443"),
        ] {
            assert!(check(&[("host", host), ("origin", origin)]).is_ok(), "{host} {origin}");
        }
        for (host, origin) in [
            ("127.0.0.1:8080", "http://evil.example"),
            ("127.0.0.1:8080", "null"),
            ("127.0.0.1:8080", "http://127.0.0.1"),
            ("127.0.0.1:8080", "http://127.0.0.1:3000"),
            ("127.0.0.1:8080", "http://localhost:8080"),
            ("127.0.0.1:8080", "http://exchange.example"),
            ("127.0.0.1:8080", "https://exchange.example:8443"),
            ("127.0.0.1:80", "https://127.0.0.1"),
        ] {
            let error = check(&[("host", host), ("origin", origin)]).unwrap_err();
            assert_eq!(error.detail().code, "other_origin", "{host} {origin}");
        }
    }

    #[test]
    fn without_an_origin_the_browser_still_tells_the_site() {
        let check = |lines: &[(&'static str, &'static str)]| {
            origins(&["https://exchange.example"]).check_write(&headers(lines)).is_ok()
        };
        let host = ("host", "127.0.0.1:8080");
        assert!(check(&[host]), "a program");
        assert!(check(&[host, ("sec-fetch-site", "same-origin")]));
        assert!(check(&[host, ("sec-fetch-site", "none")]));
        assert!(!check(&[host, ("sec-fetch-site", "cross-site")]));
        assert!(!check(&[host, ("sec-fetch-site", "same-site")]));
        let own = ("origin", "http://127.0.0.1:8080");
        assert!(check(&[host, own]));
        assert!(!check(&[host, own, own]), "two origins");
        assert!(!check(&[host, own, ("sec-fetch-site", "cross-site")]));
        let listed = ("origin", "https://exchange.example");
        assert!(check(&[host, listed, ("sec-fetch-site", "cross-site")]));
    }
}
