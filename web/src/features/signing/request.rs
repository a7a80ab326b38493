//! A request for a signature.

use zellbook_core::Action;

use crate::ui::lines::Lines;

/// Something that a form wants to have signed.
#[derive(Clone, Debug)]
pub struct SignRequest {
    /// What it does, in words.
    pub title: String,
    /// Names and values to check before signing.
    pub lines: Lines,
    pub action: Action,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Signed,
    /// The user closed the sheet, or nothing could be signed.
    Dismissed,
}
