//! Receipts: a replica signs that it took a transaction, and when. With one, whose transaction never
//! appears in the sequence can show that the replica is at fault, or the network.

use alloc::format;
use alloc::string::{String, ToString};

use thiserror::Error;

use crate::genesis::NetworkId;
use crate::key::{PublicKey, Scheme, SecretKey, Signature, decode_hex};
use crate::transaction::TransactionHash;
use crate::wire::ReceiptBody;

/// That a replica took a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The network that the transaction is for.
    pub network: NetworkId,
    /// The transaction.
    pub transaction: TransactionHash,
    /// When the replica had it on disk, Unix milliseconds by its clock.
    pub received_ms: u64,
}

/// Why a receipt proves nothing.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum ReceiptError {
    /// A value that cannot be read.
    #[error("`{0}` must be {1}")]
    Form(&'static str, &'static str),
    /// The signature is not that of the replica named over this text.
    #[error("the signature is not that of replica {0} over this receipt")]
    Signature(PublicKey),
}

impl Receipt {
    /// The text that is signed. Its first line differs from that of every transaction.
    pub fn text(&self) -> String {
        let Self { network, transaction, received_ms } = self;
        format!("Zellbook receipt 1 {network}\ntransaction: {transaction}\nreceived: {received_ms}")
    }

    /// Signs it, with the `raw` scheme of transactions.
    pub fn sign(&self, replica: &SecretKey) -> ReceiptBody {
        ReceiptBody {
            network: self.network.to_string(),
            transaction: self.transaction.to_string(),
            received_ms: self.received_ms.to_string(),
            replica: replica.public_key().to_string(),
            signature: replica.sign(Scheme::Raw, &self.text()).to_string(),
        }
    }

    /// Reads a signed receipt and checks its signature. Returns it with the key of the replica: that it
    /// is the key of the replica one means is left to the caller.
    pub fn verify(body: &ReceiptBody) -> Result<(Self, PublicKey), ReceiptError> {
        const HASH: &str = "64 lower-case hex digits";
        let hash = |name, text: &str| decode_hex(text).ok_or(ReceiptError::Form(name, HASH));
        let received_ms = body.received_ms.parse().ok();
        // One number has one text.
        let received_ms = received_ms
            .filter(|number: &u64| number.to_string() == body.received_ms)
            .ok_or(ReceiptError::Form("received_ms", "Unix milliseconds in digits"))?;
        let receipt = Self {
            network: NetworkId(hash("network", &body.network)?),
            transaction: TransactionHash(hash("transaction", &body.transaction)?),
            received_ms,
        };
        let replica: PublicKey = body.replica.parse().map_err(|_| {
            ReceiptError::Form("replica", "a public key of 66 lower-case hex digits")
        })?;
        let signature: Signature = body
            .signature
            .parse()
            .map_err(|()| ReceiptError::Form("signature", "130 lower-case hex digits"))?;
        if signature.is_valid(&Scheme::Raw.digest(&receipt.text()), &replica) {
            Ok((receipt, replica))
        } else {
            Err(ReceiptError::Signature(replica))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> SecretKey {
        SecretKey::from_bytes(&[7; 32]).unwrap()
    }

    fn receipt() -> Receipt {
        Receipt {
            network: NetworkId([0xab; 32]),
            transaction: TransactionHash([0x01; 32]),
            received_ms: 1_795_346_226_000,
        }
    }

    #[test]
    fn a_receipt_is_a_text_that_people_can_read() {
        let expected = format!(
            "Zellbook receipt 1 {}\ntransaction: {}\nreceived: 1795346226000",
            "ab".repeat(32),
            "01".repeat(32)
        );
        assert_eq!(receipt().text(), expected);
    }

    #[test]
    fn a_receipt_verifies_with_every_value_as_it_was_signed_and_no_other() {
        let body = receipt().sign(&key());
        assert_eq!(Receipt::verify(&body), Ok((receipt(), key().public_key())));
        let other = SecretKey::from_bytes(&[8; 32]).unwrap();
        let forged: [fn(&mut ReceiptBody, &SecretKey); 5] = [
            |body, _| body.network = "ac".repeat(32),
            |body, _| body.transaction = "02".repeat(32),
            |body, _| body.received_ms = "1795346226001".into(),
            |body, other| body.replica = other.public_key().to_string(),
            |body, other| body.signature = other.sign(Scheme::Raw, "text").to_string(),
        ];
        for forge in forged {
            let mut forged = body.clone();
            forge(&mut forged, &other);
            assert!(matches!(Receipt::verify(&forged), Err(ReceiptError::Signature(_))));
        }
    }

    #[test]
    fn a_receipt_that_cannot_be_read_names_the_field() {
        let body = receipt().sign(&key());
        type Break = fn(&mut ReceiptBody);
        let broken: [(&str, Break); 6] = [
            ("network", |body| body.network = "AB".repeat(32)),
            ("transaction", |body| body.transaction.truncate(62)),
            ("received_ms", |body| body.received_ms.insert(0, '0')),
            ("received_ms", |body| body.received_ms = "-1".into()),
            ("replica", |body| body.replica = "02".into()),
            ("signature", |body| body.signature = String::new()),
        ];
        for (name, breaks) in broken {
            let mut broken = body.clone();
            breaks(&mut broken);
            let error = Receipt::verify(&broken).unwrap_err();
            assert!(matches!(error, ReceiptError::Form(field, _) if field == name), "{error}");
        }
    }
}
