//! Orders: the form with what an order would do, open orders to edit and cancel, and the dead-man's switch.
//!
//! A form's texts become a [`Draft`](draft::Draft): an order that genesis allows, simulated by the engine's own code
//! over the book shown. What is wrong with it is a [`FormError`], and what is right becomes a request to sign.

mod choices;
mod dead_man;
mod draft;
mod edit;
mod edit_sheet;
mod expiry;
mod form;
mod form_error;
mod form_errors;
mod form_state;
mod more_options;
mod number_field;
mod open_orders;
mod price_field;
mod size_slider;
mod time_in_force_field;

pub use dead_man::{DeadMan, RENEWAL, TURN_OFF, TURN_ON, keep_alive};
pub use edit_sheet::EditSheet;
pub use form::OrderForm;
pub use form_error::{Field, FormError, read_number};
pub use form_state::{FormState, use_form};
pub use open_orders::{OpenOrders, request_cancel};
