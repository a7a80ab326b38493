//! Receipts: a replica signs that it took a transaction, and when. With one, whose transaction never
//! appears in the sequence can show that the replica is at fault, or the network.

use alloc::format;
use alloc::string::String;

use thiserror::Error;

use crate::types::{NetworkId, PublicKey, Scheme, SecretKey, Signature, TransactionHash};

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
    pub fn sign(self, replica: &SecretKey) -> SignedReceipt {
        SignedReceipt {
            receipt: self,
            replica: replica.public_key(),
            signature: replica.sign(Scheme::Raw, &self.text()),
        }
    }
}

/// A receipt with the replica's signature, which is not checked yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignedReceipt {
    /// What was signed.
    pub receipt: Receipt,
    /// The public key of the replica that is said to have signed.
    pub replica: PublicKey,
    /// The signature over the receipt's text, with the `raw` scheme.
    pub signature: Signature,
}

impl SignedReceipt {
    /// Checks the signature. Whether the key is that of the replica meant is for the caller to check.
    pub fn verify(&self) -> Result<(), ReceiptError> {
        let digest = Scheme::Raw.digest(&self.receipt.text());
        if self.signature.is_valid(&digest, &self.replica) {
            Ok(())
        } else {
            Err(ReceiptError::Signature(self.replica))
        }
    }
}
