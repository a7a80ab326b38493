//! The headers that tell a client how many more transactions its account may submit. Their names are those of the IETF
//! draft on rate-limit headers (draft-ietf-httpapi-ratelimit-headers-03), which clients know.

use axum::http::{HeaderMap, HeaderName, HeaderValue};

use crate::outbox::Allowance;

/// What an account may still submit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RateLimit {
    // First, so that the least limit is that of the account with the least room.
    remaining: usize,
    limit: usize,
    /// In how many seconds more should be possible.
    reset_s: u32,
}

impl RateLimit {
    pub const fn new(allowance: Allowance) -> Self {
        let Allowance { limit, remaining, reset_s } = allowance;
        Self { remaining, limit, reset_s }
    }

    pub fn write(&self, headers: &mut HeaderMap) {
        let reset_s = usize::try_from(self.reset_s).unwrap_or(usize::MAX);
        let fields = [
            ("ratelimit-limit", self.limit),
            ("ratelimit-remaining", self.remaining),
            ("ratelimit-reset", reset_s),
        ];
        for (name, value) in fields {
            headers.insert(HeaderName::from_static(name), HeaderValue::from(value));
        }
    }
}
