//! Makes signatures, right ones and forged ones of every kind. The fuzz target uses it too.

use std::sync::OnceLock;

use k256::ecdsa::{RecoveryId, Signature as Ecdsa, VerifyingKey};
use k256::elliptic_curve::ops::Reduce;
use k256::{FieldBytes, Scalar};
use zellbook_core::signatures::SignedDigest;
use zellbook_core::types::{Scheme, Signature};
use zellbook_core::{PublicKey, SecretKey};

/// What was done to a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Right,
    /// Some other `r`: zero, the order of the group or near it, the largest number, a small or a random one. Many are no
    /// x of a point.
    R,
    /// The same for `s`.
    S,
    V,
    HighS,
    Digest,
    /// The signer is another one, or the key that has the other y.
    Signer,
    /// The signature of another digest.
    Swapped,
    /// The `r` of another signature.
    OtherR,
    /// A copy of another signature, right or wrong.
    Repeated,
    /// The digest is such that the right side of the equation is infinity.
    Infinity,
    /// Two equations that are wrong by a point and by its opposite: with equal coefficients they would cancel.
    Cancelling,
    /// Two equations that are wrong by small multiples of a point: with coefficients that are counted they could cancel.
    Guessed,
    Random,
}

impl Kind {
    pub const ALL: [Self; 14] = [
        Self::Right,
        Self::R,
        Self::S,
        Self::V,
        Self::HighS,
        Self::Digest,
        Self::Signer,
        Self::Swapped,
        Self::OtherR,
        Self::Repeated,
        Self::Infinity,
        Self::Cancelling,
        Self::Guessed,
        Self::Random,
    ];
}

/// Secret numbers and their keys.
type Keys = Vec<([u8; 32], SecretKey)>;

pub struct Adversary<'a> {
    /// Makes the choices.
    choices: &'a mut dyn FnMut() -> u64,
    keys: &'static Keys,
}

fn keys() -> &'static Keys {
    static KEYS: OnceLock<Keys> = OnceLock::new();
    KEYS.get_or_init(|| {
        let key = |number| {
            let bytes = [number; 32];
            (bytes, SecretKey::from_bytes(&bytes).expect("this number is below the order"))
        };
        (1..=40).map(key).collect()
    })
}

impl<'a> Adversary<'a> {
    pub fn new(choices: &'a mut dyn FnMut() -> u64) -> Self {
        Self { choices, keys: keys() }
    }

    fn next(&mut self) -> u64 {
        (self.choices)()
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    fn bytes(&mut self) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes.chunks_mut(8).for_each(|part| part.copy_from_slice(&self.next().to_be_bytes()));
        bytes
    }

    fn scalar(&mut self) -> Scalar {
        Scalar::reduce(&FieldBytes::from(self.bytes()))
    }

    /// A number of 32 bytes that may be special.
    fn number(&mut self) -> [u8; 32] {
        let order: [u8; 32] = (-Scalar::ONE).to_bytes().into();
        let mut number = match self.below(6) {
            0 => [0; 32],
            1 | 2 => order,
            3 => [0xff; 32],
            4 => {
                let mut small = [0; 32];
                small[31] = self.next() as u8;
                small
            }
            _ => self.bytes(),
        };
        if self.below(2) == 0 {
            number[31] = number[31].wrapping_add(self.below(3) as u8);
        }
        number
    }

    fn right_of(&mut self, key: usize) -> SignedDigest {
        let keys = self.keys;
        self.sign(&keys[key].1)
    }

    pub fn sign(&mut self, key: &SecretKey) -> SignedDigest {
        let text = format!("text {}", self.next());
        let (digest, signature) = (Scheme::Raw.digest(&text), key.sign(Scheme::Raw, &text));
        SignedDigest { digest, signature, signer: key.public_key() }
    }

    /// Some signatures, of which all, some or few are right. Their number is about one of these.
    pub fn signatures(&mut self, counts: &[usize]) -> (Vec<SignedDigest>, Vec<Kind>) {
        let count = counts[self.below(counts.len())];
        let keys = [1, 3, self.keys.len()][self.below(3)];
        let wrong_percent = [0, 1, 5, 50, 100][self.below(5)];
        let mut signed: Vec<SignedDigest> = Vec::new();
        let mut kinds = Vec::new();
        while signed.len() < count {
            let key = self.below(keys);
            let right = self.right_of(key);
            let kind = if self.below(100) < wrong_percent {
                Kind::ALL[self.below(Kind::ALL.len())]
            } else {
                Kind::Right
            };
            let made = self.make(kind, right, &signed, keys);
            kinds.extend(made.iter().map(|_| kind));
            signed.extend(made);
        }
        self.shuffle(&mut signed, &mut kinds);
        (signed, kinds)
    }

    fn shuffle(&mut self, signed: &mut [SignedDigest], kinds: &mut [Kind]) {
        for at in (1..signed.len()).rev() {
            let other = self.below(at + 1);
            signed.swap(at, other);
            kinds.swap(at, other);
        }
    }

    fn make(
        &mut self,
        kind: Kind,
        mut signed: SignedDigest,
        before: &[SignedDigest],
        keys: usize,
    ) -> Vec<SignedDigest> {
        let key = self.below(keys);
        let mut other = self.right_of(key);
        match kind {
            Kind::Right => {}
            Kind::R => signed.signature.0[..32].copy_from_slice(&self.number()),
            Kind::S => signed.signature.0[32..64].copy_from_slice(&self.number()),
            Kind::V => signed.signature.0[64] = [0, 1, 2, 3, 27, 28, 255][self.below(7)],
            Kind::HighS => {
                let (_, s) = scalars(&signed);
                set_s(&mut signed, -s);
                signed.signature.0[64] ^= self.below(2) as u8;
            }
            Kind::Digest if self.below(2) == 0 => signed.digest = self.number(),
            Kind::Digest => signed.digest[self.below(32)] ^= 1 << self.below(8),
            Kind::Signer => {
                signed.signer =
                    if self.below(2) == 0 { other.signer } else { opposite(&signed.signer) };
            }
            Kind::Swapped => {
                std::mem::swap(&mut signed.signature, &mut other.signature);
                return vec![signed, other];
            }
            Kind::OtherR => signed.signature.0[..32].copy_from_slice(&other.signature.0[..32]),
            Kind::Repeated => {
                if let Some(last) = before.len().checked_sub(1) {
                    signed = before[self.below(last + 1)];
                }
                return vec![signed; 1 + self.below(4)];
            }
            Kind::Infinity => {
                // z / s + (r / s) a = 0 for z = -r a.
                let (secret, _) = self
                    .keys
                    .iter()
                    .find(|(_, key)| key.public_key() == signed.signer)
                    .expect("a key of ours");
                let (r, _) = scalars(&signed);
                let secret = Scalar::reduce(&FieldBytes::from(*secret));
                signed.digest = (-(r * secret)).to_bytes().into();
            }
            Kind::Cancelling | Kind::Guessed => {
                // With the digest z + e s, an equation is wrong by e times the generator.
                let error = self.scalar();
                let guess = |adversary: &mut Self| match kind {
                    Kind::Cancelling => Scalar::ONE,
                    _ => Scalar::from(1 + adversary.next() % 5),
                };
                let (first, second) = (guess(self), guess(self));
                shift_digest(&mut signed, error * first);
                shift_digest(&mut other, -error * second);
                return vec![signed, other];
            }
            Kind::Random => {
                signed.digest = self.bytes();
                signed.signature.0[..32].copy_from_slice(&self.bytes());
                signed.signature.0[32..64].copy_from_slice(&self.bytes());
                // Otherwise half of them would only be too high.
                signed.signature.0[32] &= 0x7f;
            }
        }
        vec![signed]
    }
}

/// The definition of a valid signature, by another way of computing it.
pub fn recovers(signed: &SignedDigest) -> bool {
    let Some((v, rs)) = signed.signature.0.split_last() else { return false };
    let Ok(signature) = Ecdsa::from_slice(rs) else { return false };
    if signature.normalize_s() != signature || *v > 1 {
        return false;
    }
    let Ok(id) = RecoveryId::try_from(*v) else { return false };
    VerifyingKey::recover_from_prehash(&signed.digest, &signature, id).is_ok_and(|key| {
        PublicKey::from_sec1(key.to_sec1_point(true).as_bytes()) == Ok(signed.signer)
    })
}

fn scalars(signed: &SignedDigest) -> (Scalar, Scalar) {
    let signature = Ecdsa::from_slice(&signed.signature.0[..64]).expect("a right signature");
    let (r, s) = signature.split_scalars();
    (*r, *s)
}

fn set_s(signed: &mut SignedDigest, s: Scalar) {
    let Signature(bytes) = &mut signed.signature;
    bytes[32..64].copy_from_slice(&s.to_bytes());
}

fn shift_digest(signed: &mut SignedDigest, error: Scalar) {
    let (_, s) = scalars(signed);
    let digest = Scalar::reduce(&FieldBytes::from(signed.digest));
    signed.digest = (digest + error * s).to_bytes().into();
}

/// The key with the same x and the other y.
fn opposite(key: &PublicKey) -> PublicKey {
    let mut bytes = *key.as_bytes();
    bytes[0] ^= 1;
    PublicKey::from_sec1(&bytes).expect("a point and its opposite have the same x")
}
