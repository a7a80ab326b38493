//! Receipts: a replica's signed statement that it accepted a transaction at a certain time.
//!
//! A replica could accept a transaction and never post it. With a receipt its client can prove that to anyone:
//! the transaction was handed in, could have had an effect, and is in no batch long afterwards. The receipt
//! promises no outcome. It does not show whether the replica or the sequencer network is to blame.

use alloc::format;
use alloc::string::String;

use thiserror::Error;

use crate::types::{NetworkId, PublicKey, Scheme, SecretKey, Signature, TransactionHash};

/// The statement that a replica accepted a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The network that the transaction is for.
    pub network: NetworkId,
    /// The hash of the accepted transaction.
    pub transaction: TransactionHash,
    /// When the replica had the transaction on disk, in Unix milliseconds of the replica's own clock.
    pub received_ms: u64,
}

/// Why a receipt proves nothing.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum ReceiptError {
    /// A field that cannot be parsed: its name, and its valid form.
    #[error("`{0}` must be {1}")]
    Form(&'static str, &'static str),
    /// The signature is not one of the named replica over this receipt.
    #[error("the signature is not that of replica {0} over this receipt")]
    Signature(PublicKey),
}

impl Receipt {
    /// The signed text. Its first line differs from that of every transaction, so that a replica's signature on
    /// one can never be used as a signature on the other.
    pub fn text(&self) -> String {
        let Self { network, transaction, received_ms } = self;
        format!("Zellbook receipt 1 {network}\ntransaction: {transaction}\nreceived: {received_ms}")
    }

    /// Signs the receipt with the scheme `raw`.
    pub fn sign(self, replica: &SecretKey) -> SignedReceipt {
        SignedReceipt {
            receipt: self,
            replica: replica.public_key(),
            signature: replica.sign(Scheme::Raw, &self.text()),
        }
    }
}

/// A receipt with a signature that is not checked yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignedReceipt {
    /// The receipt that was signed.
    pub receipt: Receipt,
    /// The public key of the replica that claims to have signed.
    pub replica: PublicKey,
    /// The signature over [`Receipt::text`] with the scheme `raw`.
    pub signature: Signature,
}

impl SignedReceipt {
    /// Checks the signature against the key in [`Self::replica`]. The caller must check that this is the key of
    /// the replica that it sent the transaction to: anybody can sign a receipt with a key of their own.
    pub fn verify(&self) -> Result<(), ReceiptError> {
        let digest = Scheme::Raw.digest(&self.receipt.text());
        if self.signature.is_valid(&digest, &self.replica) {
            Ok(())
        } else {
            Err(ReceiptError::Signature(self.replica))
        }
    }
}
