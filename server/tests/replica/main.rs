//! The program as its users run it: real processes, real disks, real sockets.

mod api;
mod bad_input;
mod command_line;
mod crash;
mod gateways;
mod guide;
mod harness;
mod sequencer;
mod two_replicas;
mod websocket;
