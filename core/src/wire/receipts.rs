//! Receipts in JSON: reading, writing and verifying them.

use alloc::string::ToString;

use super::transactions::ReceiptBody;
use crate::protocol::{Receipt, ReceiptError, SignedReceipt};
use crate::types::{NetworkId, PublicKey, Signature, TransactionHash, decode_hex};

impl ReceiptBody {
    /// Parses the receipt without checking its signature. Fails with [`ReceiptError::Form`], which names the
    /// field.
    pub fn read(&self) -> Result<SignedReceipt, ReceiptError> {
        const HASH: &str = "64 lower-case hex digits";
        let hash = |name, text: &str| decode_hex(text).ok_or(ReceiptError::Form(name, HASH));
        let received_ms = self.received_ms.parse().ok();
        // Leading zeros or a plus sign would be another text than the signed one.
        let received_ms = received_ms
            .filter(|number: &u64| number.to_string() == self.received_ms)
            .ok_or(ReceiptError::Form("received_ms", "Unix milliseconds in digits"))?;
        let receipt = Receipt {
            network: NetworkId(hash("network", &self.network)?),
            transaction: TransactionHash(hash("transaction", &self.transaction)?),
            received_ms,
        };
        let replica: PublicKey = self.replica.parse().map_err(|_| {
            ReceiptError::Form("replica", "a public key of 66 lower-case hex digits")
        })?;
        let signature: Signature = self
            .signature
            .parse()
            .map_err(|_| ReceiptError::Form("signature", "130 lower-case hex digits"))?;
        Ok(SignedReceipt { receipt, replica, signature })
    }

    /// Parses the receipt and checks its signature. See [`SignedReceipt::verify`] for what that does not prove.
    pub fn verify(&self) -> Result<SignedReceipt, ReceiptError> {
        let signed = self.read()?;
        signed.verify()?;
        Ok(signed)
    }
}

impl From<&SignedReceipt> for ReceiptBody {
    fn from(signed: &SignedReceipt) -> Self {
        let SignedReceipt { receipt, replica, signature } = signed;
        Self {
            network: receipt.network.to_string(),
            transaction: receipt.transaction.to_string(),
            received_ms: receipt.received_ms.to_string(),
            replica: replica.to_string(),
            signature: signature.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::String;

    use super::*;
    use crate::types::{Scheme, SecretKey};

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
    fn the_signed_text_of_a_receipt_is_readable() {
        let expected = format!(
            "Zellbook receipt 1 {}\ntransaction: {}\nreceived: 1795346226000",
            "ab".repeat(32),
            "01".repeat(32)
        );
        assert_eq!(receipt().text(), expected);
    }

    #[test]
    fn a_receipt_with_any_changed_value_does_not_verify() {
        let body = ReceiptBody::from(&receipt().sign(&key()));
        assert_eq!(body.verify(), Ok(receipt().sign(&key())));
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
            assert!(matches!(forged.verify(), Err(ReceiptError::Signature(_))));
        }
    }

    #[test]
    fn an_unreadable_receipt_is_refused_with_the_name_of_the_field() {
        let body = ReceiptBody::from(&receipt().sign(&key()));
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
            let error = broken.verify().unwrap_err();
            assert!(matches!(error, ReceiptError::Form(field, _) if field == name), "{error}");
        }
    }
}
