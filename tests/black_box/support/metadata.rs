//! An endpoint in place of ECS's task metadata, version 4, which can be good, bad, or not there yet.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What the endpoint does when it is asked.
#[derive(Clone, Debug)]
pub(crate) enum Mode {
    /// Answers as ECS does: the container, and at `/task` the task.
    Good(Value, Value),
    /// Takes the request and says nothing.
    Silent,
    /// Answers these bytes to everything.
    Bytes(Arc<Vec<u8>>),
}

impl Mode {
    /// An answer with this status line and body to everything.
    pub(crate) fn answer(status: &str, body: &[u8]) -> Self {
        Self::Bytes(Arc::new(http(status, body)))
    }
}

/// The endpoint.
#[derive(Debug)]
pub(crate) struct Endpoint {
    address: SocketAddr,
    mode: Arc<Mutex<Mode>>,
    asked: Arc<AtomicUsize>,
}

impl Endpoint {
    /// An endpoint on a free port.
    pub(crate) async fn start(mode: Mode) -> Self {
        Self::start_at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), mode).await
    }

    /// An endpoint at this address.
    pub(crate) async fn start_at(address: SocketAddr, mode: Mode) -> Self {
        let listener = TcpListener::bind(address).await.expect("the address is free");
        let endpoint = Self {
            address: listener.local_addr().expect("bound"),
            mode: Arc::new(Mutex::new(mode)),
            asked: Arc::default(),
        };
        let (mode, asked) = (endpoint.mode.clone(), endpoint.asked.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let mode = mode.lock().expect("not poisoned").clone();
                tokio::spawn(answer(stream, mode, asked.clone()));
            }
        });
        endpoint
    }

    /// The value of `ECS_CONTAINER_METADATA_URI_V4`.
    pub(crate) fn uri(&self) -> String {
        uri(self.address)
    }

    /// Changes what it does from now on.
    pub(crate) fn becomes(&self, mode: Mode) {
        *self.mode.lock().expect("not poisoned") = mode;
    }

    /// How many requests it has read.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

/// The address as ECS would give it.
pub(crate) fn uri(address: SocketAddr) -> String {
    format!("http://{address}/v4/0123456789abcdef-4242")
}

async fn answer(mut stream: TcpStream, mode: Mode, asked: Arc<AtomicUsize>) {
    let mut request = Vec::new();
    while !request.windows(4).any(|w| w == b"\r\n\r\n") {
        let mut some = [0; 1024];
        match stream.read(&mut some).await {
            Ok(count @ 1..) => request.extend_from_slice(&some[..count]),
            _ => return,
        }
    }
    asked.fetch_add(1, Ordering::SeqCst);
    let bytes = match mode {
        Mode::Silent => std::future::pending().await,
        Mode::Bytes(bytes) => bytes,
        Mode::Good(container, task) => {
            let line = String::from_utf8_lossy(&request).into_owned();
            let path = line.split(' ').nth(1).unwrap_or_default();
            Arc::new(match path {
                "/v4/0123456789abcdef-4242" => http("200 OK", container.to_string().as_bytes()),
                "/v4/0123456789abcdef-4242/task" => http("200 OK", task.to_string().as_bytes()),
                _ => http("404 Not Found", b"no such path"),
            })
        }
    };
    // A client that has seen enough may be gone.
    let _ = stream.write_all(&bytes).await;
}

fn http(status: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// What Fargate says of a container; fields and forms by the ECS developer guide.
pub(crate) fn container() -> Value {
    json!({
        "DockerId": "cd189a933e5849daa93386466019ab50-2495160603",
        "Name": "bifora",
        "DockerName": "bifora",
        "Image": "public.ecr.aws/o5b1w9d8/bifora:14f28fe",
        "ImageID": format!("sha256:{}", "ab".repeat(32)),
        "Labels": {"com.amazonaws.ecs.container-name": "bifora"},
        "DesiredStatus": "RUNNING",
        "Limits": {"CPU": 512, "Memory": 1024},
        "Type": "NORMAL",
        "ContainerARN": "arn:aws:ecs:us-east-1:123456789012:container/bifora/cd189a93/05966557",
    })
}

/// What Fargate says of the task around it.
pub(crate) fn task() -> Value {
    json!({
        "Cluster": "arn:aws:ecs:us-east-1:123456789012:cluster/bifora",
        "TaskARN": "arn:aws:ecs:us-east-1:123456789012:task/bifora/cd189a933e5849daa93386466019ab50",
        "Family": "bifora-arm",
        "Revision": "7",
        "ServiceName": "bifora-arm",
        "DesiredStatus": "RUNNING",
        "Limits": {"CPU": 0.5, "Memory": 1024},
        "AvailabilityZone": "us-east-1b",
        "LaunchType": "FARGATE",
        "Containers": [container()],
    })
}
