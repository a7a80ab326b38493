//! The HTTP interface of an emulated node, over the data that the node has or pretends to have.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::Method;
use axum::middleware::{self, Next};
use axum::response::Response;
use tokio::time::{Instant, sleep};

use super::forgery;
use super::lie::Lie;
use super::node::Condition;
use super::{Network, Shared};
use zellbook_server::sequencer::interface::{self, VERSION};
use zellbook_server::sequencer::node::{LastBatch, LastState, Node, NodePage, NodeStatus, Refusal};

/// How often a frozen node checks whether it still is.
const THAW: Duration = Duration::from_millis(100);
/// The response of a gateway that sends garbage: JSON that is cut off.
const GARBLED: &str = r#"{"status":"success","message":"Operation successful","data":{"batches":["#;

pub struct Gateway {
    network: Arc<Shared>,
    node: usize,
}

impl Network {
    /// The HTTP interface of a node.
    pub fn router(&self, node: usize) -> Router {
        let gateway = Arc::new(Gateway { network: Arc::clone(&self.shared), node });
        let gate = Arc::clone(&gateway);
        interface::router(gateway).layer(middleware::from_fn(
            move |request: Request, next: Next| {
                let gate = Arc::clone(&gate);
                async move { gate.pass(request, next).await }
            },
        ))
    }
}

impl Gateway {
    /// Passes a request to a node that is up. A frozen node responds after it has thawed. The transport
    /// makes killed nodes unreachable.
    async fn pass(&self, request: Request, next: Next) -> Response {
        // The request waits and is not refused, like one to a stopped process: the client only sees silence.
        while self.network.nodes().nodes[self.node].condition != Condition::Up {
            sleep(THAW).await;
        }
        let is_read = request.method() == Method::GET;
        let response = next.run(request).await;
        if is_read && self.lie() == Some(Lie::Garbage) {
            // Status and headers stay those of a true response, so that only reading the body shows the lie.
            let mut response = response;
            *response.body_mut() = Body::from(GARBLED);
            return response;
        }
        response
    }

    fn lie(&self) -> Option<Lie> {
        self.network.nodes().nodes[self.node].lie
    }

    fn fail(&self) -> Result<(), Refusal> {
        match self.lie() {
            Some(Lie::Errors) => Err(Refusal::Broken("injected fault".into())),
            _ => Ok(()),
        }
    }
}

impl Node for Gateway {
    fn ready(&self) -> Result<(), Refusal> {
        let nodes = self.network.nodes();
        let node = &nodes.nodes[self.node];
        // Like the reference, a node that lacks pruned history reports that it is ready.
        if !node.is_synced && !node.is_pruned {
            Err(Refusal::NotSynced)
        } else if node.is_paused(Instant::now()) {
            Err(Refusal::Paused)
        } else {
            Ok(())
        }
    }

    fn may_post(&self) -> Result<(), Refusal> {
        self.ready()?;
        if self.network.nodes().nodes[self.node].is_posting {
            Ok(())
        } else {
            Err(Refusal::NotPosting)
        }
    }

    fn batch_bytes_max(&self) -> usize {
        self.network.options.batch_bytes_max
    }

    fn has_app(&self, app: &str) -> bool {
        self.network.options.apps.iter().any(|name| name == app)
    }

    async fn put(&self, batches: Vec<(String, String)>) -> Result<(), Refusal> {
        self.fail()?;
        let options = &self.network.options;
        let now = Instant::now();
        let mut nodes = self.network.nodes();
        let leads = nodes.leader_of(nodes.nodes[self.node].epoch) == self.node;
        let node = &mut nodes.nodes[self.node];
        // Only the leader limits the bandwidth; the other nodes queue everything.
        if leads {
            if now.duration_since(node.window.0) >= options.window {
                node.window = (now, 0);
            }
            let bytes: usize = batches.iter().map(|(_, body)| body.len()).sum();
            node.window.1 = node.window.1.saturating_add(bytes);
            if node.window.1 > options.window_bytes_max {
                return Err(Refusal::LimitExceeded);
            }
        }
        let copies = match node.lie {
            // The answer is 200 all the same. Only an outbox that waits for finality notices the loss.
            Some(Lie::DropPosts) => 0,
            Some(Lie::DoublePosts) => 2,
            _ => 1,
        };
        for (app, body) in batches {
            // The interface lets only registered apps through.
            if let Some(log) = node.apps.get_mut(&app) {
                let body: Arc<str> = body.into();
                log.queue.extend(std::iter::repeat_n(body, copies));
            }
        }
        Ok(())
    }

    async fn page(&self, app: &str, after: u64) -> Result<Option<NodePage>, Refusal> {
        self.fail()?;
        let mut nodes = self.network.nodes();
        let draw = nodes.rng.u64(..);
        let node = &nodes.nodes[self.node];
        let until = match node.lie {
            Some(Lie::Stale { until }) => until,
            _ => u64::MAX,
        };
        let bytes_max = self.network.options.page_bytes_max;
        let mut page = node.log(app).and_then(|log| log.page(after, until, bytes_max));
        if node.lie == Some(Lie::Forge) {
            // A forger has a batch to show even where the network has none.
            page = page.or(Some(NodePage::default()));
        }
        Ok(page.map(|page| match node.lie {
            Some(lie) => forgery::page(lie, node, app, page, after, draw),
            None => page,
        }))
    }

    async fn last(&self, app: &str, state: LastState) -> Result<Option<LastBatch>, Refusal> {
        self.fail()?;
        let nodes = self.network.nodes();
        Ok(nodes.nodes[self.node].log(app).and_then(|log| match state {
            LastState::Locked => log.last_locked(),
            LastState::Finalized => log.last_finalized(),
        }))
    }

    async fn status(&self) -> Result<NodeStatus, Refusal> {
        self.fail()?;
        let nodes = self.network.nodes();
        let node = &nodes.nodes[self.node];
        let mut status = NodeStatus {
            version: VERSION.into(),
            leader_id: nodes.nodes[nodes.leader_of(node.epoch)].id.clone(),
            id: node.id.clone(),
            public_key: node.public_key,
            apps: node.apps.iter().map(|(app, log)| (app.clone(), log.indexes())).collect(),
        };
        if let Some(lie) = node.lie {
            forgery::status(lie, &mut status);
        }
        Ok(status)
    }
}
