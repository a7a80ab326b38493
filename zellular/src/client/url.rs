//! Which addresses of gateways and subgraphs are accepted.

/// Whether a text is an HTTP or HTTPS URL without a user name and password. Addresses show up in status pages
/// and logs, so they must not contain secrets.
pub fn is_http_url(text: &str) -> bool {
    reqwest::Url::parse(text).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.host().is_some()
            && url.username().is_empty()
            && url.password().is_none()
    })
}

#[cfg(test)]
mod tests {
    use super::is_http_url;

    #[test]
    fn an_address_is_an_http_url_without_secrets() {
        for good in ["http://127.0.0.1:6001", "https://example.org/subgraphs/name/zellular"] {
            assert!(is_http_url(good), "{good}");
        }
        for bad in ["", "example.org", "ftp://example.org", "http://a:b@example.org", "http://a@b"]
        {
            assert!(!is_http_url(bad), "{bad}");
        }
    }
}
