//! The engine against a naive model of the protocol, on random histories.
//!
//! `ZELLBOOK_MODEL_CASES` says how many (20000 take some minutes in a release build), and
//! `ZELLBOOK_MODEL_SEED` runs one alone.

mod agree;
mod cases;
mod history;
mod model;
mod random;
