//! Edits of valid bytes: input that is almost valid reaches further into a decoder than random bytes.

use crate::input::Input;

/// Changes bytes in 0 to 3 places, as the input chooses.
pub fn edit(bytes: &mut Vec<u8>, input: &mut Input) {
    for _ in 0..input.below(4) {
        edit_once(bytes, input);
    }
}

/// Changes bytes in one place.
pub fn edit_once(bytes: &mut Vec<u8>, input: &mut Input) {
    let kind = input.byte();
    let at = usize::from(input.u16()) % (bytes.len() + 1);
    let length = usize::from(input.byte()) % 40;
    let end = (at + length).min(bytes.len());
    match kind % 8 {
        0 | 1 if at < bytes.len() => bytes[at] = input.byte(),
        2 if at < bytes.len() => bytes[at] ^= 1 << (input.byte() % 8),
        3 => drop(bytes.splice(at..end, [])),
        4 => drop(bytes.splice(at..at, input.bytes(length).iter().copied())),
        5 => drop(bytes.splice(at..end, input.bytes(length).iter().copied())),
        6 => {
            let part = bytes[at..end].to_vec();
            let to = usize::from(input.u16()) % (bytes.len() + 1);
            drop(bytes.splice(to..to, part));
        }
        _ => bytes.truncate(at),
    }
}
