//! What the page does, one folder a feature: what it shows and what it computes.
//!
//! A feature imports only features above it in this list, `ui` and `platform`. The state of a feature hands out
//! signals to read; they are changed by its own functions or by a writer that only [`crate::app`] has, so that not
//! every component can change everything.

pub mod replica;

pub mod market;

pub mod settings;

pub mod wallet;

pub mod evidence;

pub mod signing;

pub mod order;

pub mod book;

pub mod chart;

pub mod account;

pub mod explorer;
