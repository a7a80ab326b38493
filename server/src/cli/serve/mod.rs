//! `zellbook serve`: a replica, until it is stopped or halts.

mod arguments;
mod catch_up;
mod command;
mod keys;
mod own_thread;

pub use arguments::ServeArguments;
pub use command::serve;
