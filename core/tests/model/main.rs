//! The engine against a naive model of the protocol, on random histories.
//!
//! `ZELLBOOK_MODEL_CASES` is the number of histories; 20,000 take some minutes in a release build.
//! `ZELLBOOK_MODEL_SEED` runs only the history of one seed.

mod agree;
mod cases;
mod history;
mod model;
mod random;
