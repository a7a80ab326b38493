//! The parts of the page.

pub mod account_panel;
pub mod book;
pub mod chart;
pub mod edit_sheet;
pub mod expiry;
pub mod faults;
pub mod figures;
pub mod header;
pub mod lifecycle;
pub mod market_info;
pub mod market_picker;
pub mod nav;
pub mod number_field;
pub mod order_form;
pub mod orders;
pub mod settings;
pub mod shortcuts;
pub mod sign_sheet;
pub mod size_slider;
pub mod splitter;
pub mod toasts;
pub mod trades;
pub mod trading;
pub mod welcome;
