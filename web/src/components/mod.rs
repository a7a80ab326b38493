//! The parts of the page.

pub mod account_panel;
pub mod book;
pub mod edit_sheet;
pub mod expiry;
pub mod faults;
pub mod header;
pub mod lifecycle;
pub mod nav;
pub mod number_field;
pub mod order_form;
pub mod orders;
pub mod settings;
pub mod shortcuts;
pub mod sign_sheet;
pub mod toasts;
pub mod trades;
pub mod welcome;
