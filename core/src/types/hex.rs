//! Lower-case hexadecimal text of a fixed length.

/// Decodes exactly `2 * N` lower-case hex digits. `None` for any other text: upper case is refused so that
/// bytes have one text.
pub fn decode_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    // The library accepts both cases. A text of another length it refuses by itself.
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return None;
    }
    let mut bytes = [0; N];
    hex::decode_to_slice(text, &mut bytes).ok()?;
    Some(bytes)
}
