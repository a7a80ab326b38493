//! Random choices that protect nothing. Secrets are made in the vault's worker.

use js_sys::Math;

/// A number below `count`, which is at least 1.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a share of a small whole number"
)]
pub fn below(count: usize) -> usize {
    let number = (Math::random() * count as f64) as usize;
    // Rounding may lead to `count` itself.
    number.min(count.saturating_sub(1))
}
