//! An async client of the network, on tokio.
//!
//! [`Client`] is what an app needs: it posts batches and follows the finalized ones, of which it returns only
//! proven ones.
//!
//! ```no_run
//! use zellular::client::{Client, Network};
//! use zellular::{NodeList, Position};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let nodes = NodeList::read(&std::fs::read("nodes.json")?)?;
//! let client = Client::connect("my_app", Network::Fixed(nodes)).await?;
//! client.post(&["first batch".into()]).await?;
//!
//! let mut follower = client.follow(Position::start());
//! loop {
//!     let group = follower.next().await?;
//!     for batch in &group.batches {
//!         println!("batch {}: {}", batch.index, batch.body);
//!     }
//!     // Store `follower.position()` with what the batches did: it is where to resume.
//! }
//! # }
//! ```
//!
//! Posting is *at least once*: a node can lose a batch that it took, so an app keeps each batch until it is
//! seen finalized and posts it again after a while, and it must tolerate a batch that is finalized twice.
//! Anyone can post under an app's name: treat each body as hostile.
//!
//! Apps that need control over each step, for example to store every page with its proof, use
//! [`NetworkClient`] with a [`Walker`](crate::Walker).

#![allow(
    clippy::arithmetic_side_effects,
    clippy::float_arithmetic,
    reason = "waits and counts of one process; nothing here decides what is proven"
)]

mod app_client;
mod backoff;
pub mod eigenlayer;
mod error;
mod follow;
mod gateway;
mod gateways;
mod http;
mod lane;
mod network_client;
mod pace;

pub mod transport;
mod url;
mod verifier;

pub use app_client::{Client, ClientError, ClientOptions, Network};
pub use backoff::{Backoff, jitter};
pub use error::GatewayError;
pub use follow::{FollowError, Follower};
pub use gateway::{GatewayAddress, GatewayFailure, GatewayStatus};
pub use http::HttpTransport;
pub use lane::{LANES_MAX, Route};
pub use network_client::NetworkClient;
pub use pace::Pace;
pub use url::is_http_url;
pub use verifier::{VerifierWatch, fixed};
