//! `/static/*`: content-hashed and immutable, precompressed, revalidated by `ETag`, and nothing beside the files.

use std::io::Read as _;

use crate::support::client::{Answer, get, request};
use crate::support::page::tags;
use crate::support::server::Server;

const IMMUTABLE: &str = "public, max-age=31536000, immutable";

/// The addresses that the pages load.
async fn loaded(server: &Server) -> Vec<String> {
    let mut found = Vec::new();
    for path in ["/", "/build", "/info", "/parity", "/fleet", "/nothing-here"] {
        for mut tag in tags(&server.page(path).await.text()) {
            let name = if tag.name == "link" { "href" } else { "src" };
            found.extend(tag.attributes.remove(name));
        }
    }
    found.sort();
    found.dedup();
    assert!(found.len() >= 3, "style, script and icon: {found:?}");
    found
}

async fn style(server: &Server) -> String {
    let all = loaded(server).await;
    all.into_iter()
        .find(|url| url.starts_with("/static/style."))
        .expect("a style sheet")
}

async fn encoded(server: &Server, url: &str, encoding: &str) -> Answer {
    let answer = server.ask(&get(url).header("accept-encoding", encoding)).await;
    assert_eq!(answer.status, 200, "{url}");
    assert_eq!(answer.header("vary"), Some("accept-encoding"), "{url}");
    answer
}

#[tokio::test]
async fn what_pages_load_is_named_by_its_content_and_kept_for_ever() {
    let server = Server::shared();
    for url in loaded(&server).await {
        let file = url
            .strip_prefix("/static/")
            .unwrap_or_else(|| panic!("{url} is not ours"));
        let hash = file.split('.').nth(1).unwrap_or_default();
        assert!(
            hash.len() >= 8 && hash.bytes().all(|b| b.is_ascii_hexdigit()),
            "{url} is not named by its content"
        );
        let answer = encoded(&server, &url, "identity").await;
        assert_eq!(answer.header("cache-control"), Some(IMMUTABLE), "{url}");
        let media_type = match file.rsplit('.').next() {
            Some("css") => "text/css; charset=utf-8",
            Some("js") => "text/javascript; charset=utf-8",
            Some("svg") => "image/svg+xml",
            other => panic!("{url}: which media type has {other:?}?"),
        };
        assert_eq!(answer.header("content-type"), Some(media_type));
        assert!(!answer.body.is_empty());
    }
}

#[tokio::test]
async fn the_client_chooses_the_encoding() {
    let server = Server::shared();
    for url in loaded(&server).await {
        let plain = encoded(&server, &url, "identity").await;
        assert_eq!(plain.header("content-encoding"), None);
        let gzip = encoded(&server, &url, "gzip").await;
        assert_eq!(gzip.header("content-encoding"), Some("gzip"), "{url}");
        let mut unpacked = Vec::new();
        flate2::read::GzDecoder::new(&*gzip.body)
            .read_to_end(&mut unpacked)
            .expect("gzip");
        assert_eq!(unpacked, plain.body, "{url}");
        // That brotli holds the same is seen by the browser tests: a browser asks for it.
        let brotli = encoded(&server, &url, "gzip, deflate, br, zstd").await;
        assert_eq!(brotli.header("content-encoding"), Some("br"), "{url}");
        assert!(brotli.body.len() < gzip.body.len() && gzip.body.len() < plain.body.len());
        let etags = [&plain, &gzip, &brotli].map(|answer| answer.header("etag").expect("an ETag"));
        assert!(
            etags[0] != etags[1] && etags[1] != etags[2],
            "forms differ: {etags:?}"
        );
    }
}

#[tokio::test]
async fn odd_accept_encodings_give_something_readable() {
    let server = Server::shared();
    let url = style(&server).await;
    for (accept, encoding) in [
        ("", None),
        ("zstd, compress", None),
        ("br;q=0, gzip;q=0", None),
        ("br;q=0.1, gzip;q=0.9", Some("gzip")),
        ("BR", Some("br")),
        ("br;q=x, gzip;q=, ;;;,", None),
    ] {
        let answer = encoded(&server, &url, accept).await;
        assert_eq!(answer.header("content-encoding"), encoding, "{accept}");
    }
    let without = server.get(&url).await;
    assert_eq!(without.header("content-encoding"), None);
}

#[tokio::test]
async fn an_unchanged_file_is_304() {
    let server = Server::shared();
    let url = style(&server).await;
    for encoding in ["identity", "gzip", "br"] {
        let asking = get(&url).header("accept-encoding", encoding);
        let first = server.ask(&asking).await;
        let etag = first.header("etag").expect("an ETag");
        for known in [
            etag.to_owned(),
            format!("W/{etag}"),
            format!("\"other\", {etag}"),
            "*".to_owned(),
        ] {
            let answer = server.ask(&asking.clone().header("if-none-match", &known)).await;
            assert_eq!(answer.status, 304, "{known}");
            assert_eq!(answer.header("etag"), Some(etag));
            assert_eq!(answer.header("cache-control"), Some(IMMUTABLE));
            assert_eq!(answer.header("vary"), Some("accept-encoding"));
        }
        for other in ["\"other\"", "", "garbage", "\""] {
            let answer = server.ask(&asking.clone().header("if-none-match", other)).await;
            assert_eq!((answer.status, &answer.body), (200, &first.body), "{other}");
        }
    }
}

#[tokio::test]
async fn a_304_leaves_the_connection_usable() {
    let server = Server::shared();
    let url = style(&server).await;
    let mut connection = server.connect().await;
    let asking = get(&url).header("if-none-match", "*");
    for _ in 0..3 {
        connection.send(&asking).await;
        assert_eq!(connection.answer().await.status, 304);
    }
}

#[tokio::test]
async fn a_name_with_another_hash_gets_this_versions_file_but_not_to_keep() {
    let server = Server::shared();
    for url in loaded(&server).await {
        let parts: Vec<_> = url.split('.').collect();
        let [stem, hash, extension] = *parts else {
            panic!("{url}");
        };
        let file = server.get(&url).await.body;
        for other in [
            format!("{stem}.{}.{extension}", "0".repeat(hash.len())),
            format!("{stem}.{extension}"),
        ] {
            let answer = server.get(&other).await;
            assert_eq!((answer.status, &answer.body), (200, &file), "{other}");
            assert_eq!(answer.header("cache-control"), Some("no-cache"), "{other}");
        }
    }
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let server = Server::shared();
    let url = style(&server).await;
    for encoding in ["identity", "br"] {
        let by_get = server.ask(&get(&url).header("accept-encoding", encoding)).await;
        let by_head = server
            .ask(&request("HEAD", &url).header("accept-encoding", encoding))
            .await;
        for name in [
            "content-length",
            "content-type",
            "content-encoding",
            "etag",
            "cache-control",
        ] {
            assert_eq!(by_head.header(name), by_get.header(name), "{name}");
        }
    }
}

#[tokio::test]
async fn nothing_but_the_files_is_there() {
    let server = Server::shared();
    for target in [
        "/static",
        "/static/",
        "/static/../Cargo.toml",
        "/static/../../../../etc/passwd",
        "/static/..%2f..%2f..%2f..%2fetc%2fpasswd",
        "/static/%2e%2e/%2e%2e/etc/passwd",
        "/static/..%5c..%5cetc%5cpasswd",
        "/static/%252e%252e%252fetc%252fpasswd",
        "/static//etc/passwd",
        "/static/style.css%00.svg",
        "/static/style.css/",
        "/static/./style.css",
        "/static/.0123456789abcdef.",
        "/static/..0123456789abcdef.",
        "/static/STYLE.CSS",
        "/static/style.0123456789abcdeg.css",
        "//static/style.css",
        "/etc/passwd",
        "/proc/self/environ",
    ] {
        let answer = server.get(target).await;
        assert_eq!(answer.status, 404, "{target}");
        answer.problem();
    }
    // Not UTF-8 once decoded: no such file, or no such request.
    let broken = server.get("/static/%ff%fe").await;
    assert!([400, 404].contains(&broken.status), "{}", broken.status);
}
