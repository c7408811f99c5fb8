//! What examples/http answers at `/json`, by hyper on tokio: server-hyper ADDRESS PROCESSORS.
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::CONTENT_TYPE;
use hyper::service::service_fn;
use hyper::{Request, Response, body::Incoming};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(args[2].parse().expect("a number of processors"))
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(serve(args[1].clone()));
}

async fn serve(address: String) {
    let listener = tokio::net::TcpListener::bind(address).await.expect("a free address");
    println!("listening on {}", listener.local_addr().expect("it is bound"));
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        stream.set_nodelay(true).expect("a socket");
        tokio::spawn(async move {
            let server = hyper::server::conn::http1::Builder::new();
            // An error is the client's business.
            let _ = server.serve_connection(TokioIo::new(stream), service_fn(answer)).await;
        });
    }
}

async fn answer(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let body = Full::new(Bytes::from_static(br#"{"message":"hello, world"}"#));
    Ok(Response::builder().header(CONTENT_TYPE, "application/json").body(body).expect("a response"))
}
