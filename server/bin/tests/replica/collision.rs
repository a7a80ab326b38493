//! Makes two bodies with one XXH3-128.
//!
//! XXH3 reads 64 bytes at a time, as eight words of eight bytes. A word `d` in lane `i`, with the key word `k` of the
//! secret, adds `d` to the sum of the neighbouring lane, and `low(d ^ k) * high(d ^ k)` to the sum of its own, where
//! low and high are the halves of 32 bits. Within a block of 1,024 bytes these sums are not mixed. So take two words
//! of one lane in one block, set a bit in the low half of the one and clear it in the other. What is added to the
//! neighbour stays the same. What is added to the own lane stays the same too, if both have the same `high(d ^ k)`
//! and their keys have the same bit there. The high half of the second word is free text, so it can be chosen.

/// The secret of XXH3, from its specification.
const SECRET: &str = "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671fcb79e64eccc0e578825ad07dccff7221\
b8084674f743248ee03590e6813a264c3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8\
a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364eac5ac8334d3ebc3c581a0fffa1363eb\
170ddd51b7f0da49d316552629d4689e2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e";
const BLOCK: usize = 1024;
const STRIPE: usize = 64;
const WORD: usize = 8;
/// Longer than the last stripe, which is hashed once more with another part of the secret.
const TAIL: usize = 130;

/// The key of the word that starts at this byte.
fn key(secret: &[u8], at: usize) -> [u8; WORD] {
    let (stripe, lane) = (at % BLOCK / STRIPE, at % STRIPE / WORD);
    let from = WORD * (stripe + lane);
    secret[from..from + WORD].try_into().unwrap()
}

fn can_be_in_a_json_string(byte: u8) -> bool {
    (0x20..0x7f).contains(&byte) && byte != b'"' && byte != b'\\'
}

/// Two bodies with one hash. The second contains the element; the first contains it with the character at `at`
/// changed, which must have an odd code: its lowest bit is cleared.
pub fn collide(element: &str, at: usize) -> (String, String) {
    let secret = hex::decode(SECRET).unwrap();
    assert_eq!((secret.len(), element.as_bytes()[at] & 1), (192, 1));
    // Padding before the element moves it until two words fit.
    for padding in 0..BLOCK {
        let head = format!("[\"{}\",", "x".repeat(padding));
        let flipped = head.len() + at;
        if flipped % WORD >= WORD / 2 {
            continue;
        }
        let start = format!("{head}{element},\"");
        let (filler, first) = (start.len(), flipped / WORD * WORD);
        let body = format!("{start}{}\"]", "x".repeat(2 * BLOCK)).into_bytes();
        let (bit, first_key) = (flipped % WORD, key(&secret, first));
        let mut second = first + STRIPE;
        while second / BLOCK == first / BLOCK && second + TAIL < body.len() {
            let second_key = key(&secret, second);
            let high: Vec<u8> = (WORD / 2..WORD)
                .map(|byte| body[first + byte] ^ first_key[byte] ^ second_key[byte])
                .collect();
            if second >= filler
                && (first_key[bit] ^ second_key[bit]) & 1 == 0
                && high.iter().copied().all(can_be_in_a_json_string)
            {
                let mut forged = body;
                forged[second + WORD / 2..second + WORD].copy_from_slice(&high);
                let mut sequenced = forged.clone();
                sequenced[flipped] ^= 1;
                (sequenced[second + bit], forged[second + bit]) = (b'1', b'0');
                let text = |bytes| String::from_utf8(bytes).unwrap();
                return (text(sequenced), text(forged));
            }
            second += STRIPE;
        }
    }
    panic!("no two words fit");
}

#[test]
fn two_bodies_have_one_hash_and_differ_in_the_element() {
    let element = format!("{{\"to\":\"{}\",\"amount\":\"9\"}}", "0123456789abcdef".repeat(20));
    let at = element.find("\"9\"").unwrap() + 1;
    let (sequenced, forged) = collide(&element, at);
    let hash = |body: &str| zellular::xxh128_hex(body.as_bytes());
    assert_eq!(hash(&sequenced), hash(&forged));
    assert_ne!(sequenced, forged);
    let element_of =
        |body: &str| serde_json::from_str::<serde_json::Value>(body).unwrap()[1].clone();
    assert_eq!(element_of(&forged)["amount"], "9");
    assert_eq!(element_of(&sequenced)["amount"], "8");
}
