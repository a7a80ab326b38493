//! The parts of the page.

pub mod account_panel;
pub mod book;
pub mod header;
pub mod lifecycle;
pub mod order_form;
pub mod sign_sheet;
pub mod theme;
pub mod trades;
pub mod welcome;
