//! Tests of the program as users run it: with real processes, disks and sockets.

mod accounts;
mod admission;
mod api;
mod bad_input;
mod bootstrap;
mod certified;
mod collision;
mod command_line;
mod crash;
mod devnet;
mod eigenlayer;
mod explorer;
mod forged_body;
mod gateways;
mod guide;
mod halt;
mod harness;
mod hostile;
mod outage;
mod outbox;
mod proxy;
mod sdk;
mod sequencer;
mod time;
mod two_replicas;
mod websocket;
