//! A proxy in front of a node or a replica, which answers some requests itself.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use reqwest::Method;
use tokio::net::TcpListener;

use crate::harness::client;

/// An answer by the method, the path and the other side's own answer, which is `None` if it was not asked. A request
/// that gets no answer before is passed on.
pub type Change = Arc<dyn Fn(&Method, &str, Option<&[u8]>) -> Option<Vec<u8>> + Send + Sync>;

/// Starts a proxy and returns its URL.
pub async fn proxy(url: &str, change: Change) -> String {
    let (url, http) = (url.to_string(), client());
    let router = Router::new().fallback(move |request: Request| {
        let (url, http, change) = (url.clone(), http.clone(), Arc::clone(&change));
        async move {
            let path = request.uri().path_and_query().unwrap().as_str().to_string();
            let method = request.method().clone();
            let json = [("content-type", "application/json")];
            if let Some(answer) = change(&method, &path, None) {
                return (json, answer).into_response();
            }
            let kind = request.headers().get("content-type").cloned();
            let body = axum::body::to_bytes(request.into_body(), usize::MAX).await.unwrap();
            let mut passed = http.request(method.clone(), format!("{url}{path}")).body(body);
            if let Some(kind) = kind {
                passed = passed.header("content-type", kind);
            }
            // The other side may be down.
            let Ok(answer) = passed.send().await else {
                return axum::http::StatusCode::BAD_GATEWAY.into_response();
            };
            let status = answer.status();
            let bytes: Bytes = answer.bytes().await.unwrap_or_default();
            let changed = change(&method, &path, Some(&bytes));
            (status, json, changed.unwrap_or_else(|| bytes.to_vec())).into_response() as Response
        }
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    format!("http://{address}")
}
