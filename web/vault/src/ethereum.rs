//! Signatures of Ethereum wallets: their account, and the form that the exchange accepts.

use k256::ecdsa::{RecoveryId, Signature as Ecdsa, VerifyingKey};
use sha3::{Digest, Keccak256};
use zellbook_core::PublicKey;
use zellbook_core::types::{Scheme, Signature};

use crate::error::VaultError;

/// A signature of `personal_sign` with its signer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// The public key of the signer.
    pub account: PublicKey,
    /// The Ethereum address of that key, `0x` and 40 lowercase hex digits.
    pub address: String,
    /// The signature in canonical form: low s, recovery id 0 or 1.
    pub signature: Signature,
}

/// Recovers the signer of a text from 65 bytes in hex: `r`, `s`, and `v` as 0, 1, 27 or 28. Wallets write both forms of `v`,
/// and some of them a high `s`.
pub fn recover(text: &str, signature: &str) -> Result<Recovered, VaultError> {
    let read = || {
        let mut bytes = [0; 65];
        let digits = signature.strip_prefix("0x").unwrap_or(signature);
        hex::decode_to_slice(digits, &mut bytes).ok()?;
        let (&v, rs) = bytes.split_last()?;
        let v = if v >= 27 { v - 27 } else { v };
        let given = Ecdsa::from_slice(rs).ok()?;
        let low = given.normalize_s();
        // Negating s mirrors the point R, which flips the parity of its y.
        let v = if v > 1 { None } else { RecoveryId::from_byte(v ^ u8::from(low != given)) }?;
        // Recovery finds some key for almost any signature. The page compares the account with the one that it expects.
        let key = VerifyingKey::recover_from_prehash(&Scheme::Eip191.digest(text), &low, v).ok()?;
        let point = key.to_sec1_point(false);
        let account = PublicKey::from_sec1(point.as_bytes()).ok()?;
        // Without the first byte, which names the form of the point: Ethereum hashes the coordinates alone.
        let hash = Keccak256::digest(point.as_bytes().get(1..)?);
        let address = format!("0x{}", hex::encode(hash.get(12..)?));
        bytes.iter_mut().zip(low.to_bytes()).for_each(|(to, from)| *to = from);
        *bytes.last_mut()? = v.to_byte();
        Some(Recovered { account, address, signature: Signature(bytes) })
    };
    read().ok_or(VaultError::OtherSigner)
}

#[cfg(test)]
mod tests {
    use zellbook_core::SecretKey;

    use super::*;

    /// The first key that Hardhat publishes, with a known address.
    fn key() -> SecretKey {
        SecretKey::from_hex("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")
            .unwrap()
    }

    #[test]
    fn every_form_of_v_and_s_gives_the_same_canonical_signature() {
        let signature = key().sign(Scheme::Eip191, "text");
        let recovered = Recovered {
            account: key().public_key(),
            address: "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266".into(),
            signature,
        };
        let mut legacy = signature;
        legacy.0[64] += 27;
        let (r, s) = Ecdsa::from_slice(&signature.0[..64]).unwrap().split_scalars();
        let mut high = signature;
        high.0[..64].copy_from_slice(&Ecdsa::from_scalars(r, -s).unwrap().to_bytes());
        high.0[64] ^= 1;
        for form in [signature, legacy, high] {
            assert_eq!(recover("text", &format!("0x{form}")), Ok(recovered.clone()));
        }
        assert_eq!(recover("text", &signature.to_string()), Ok(recovered));
    }

    #[test]
    fn a_different_text_gives_a_different_account_and_an_invalid_signature_is_refused() {
        let signature = key().sign(Scheme::Eip191, "text").to_string();
        let other = recover("texT", &signature).map(|recovered| recovered.account);
        assert_ne!(other, Ok(key().public_key()));
        for bad in ["", "0x", "zz", &"00".repeat(65), &format!("{}02", &signature[..128])] {
            assert_eq!(recover("text", bad), Err(VaultError::OtherSigner), "{bad}");
        }
    }
}
