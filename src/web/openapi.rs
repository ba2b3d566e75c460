//! `/api/openapi.json`: the description of the API, as the types that it serves say.
//!
//! The file is made from the types by a test, and not by the server: the code that makes it has 400 kB, a tenth of the binary.

use axum::body::Bytes;
use axum::response::Response;

use super::negotiate::json;

/// `src/web/openapi.json`, without what makes it readable; see `build.rs`.
static DESCRIPTION: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/openapi.json"));

/// The description of the API, OpenAPI 3.1.
pub async fn api() -> Response {
    json(Bytes::from_static(DESCRIPTION))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use utoipa::OpenApi;

    use crate::web::error::Problem;
    use crate::web::{attest, build_info, health, parity, system_info, whoami};

    /// The description of the API.
    #[derive(OpenApi)]
    #[openapi(
        info(title = "Bifora", description = "Says which architecture answered, and which build it is."),
        paths(
            whoami::api,
            attest::api,
            build_info::api,
            build_info::page,
            system_info::api,
            system_info::page,
            parity::api,
            parity::page,
            health::healthz,
            health::readyz
        ),
        components(schemas(Problem)),
        tags(
            (name = "build", description = "Which build this is"),
            (name = "system", description = "Which machine this is"),
            (name = "health", description = "For probes"),
        ),
    )]
    struct Description;

    #[test]
    fn the_file_is_what_the_types_say() {
        let made = Description::openapi().to_pretty_json().expect("it serializes") + "\n";
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let kept = std::fs::read_to_string(root.join("src/web/openapi.json")).unwrap_or_default();
        if made != kept {
            let fresh = root.join("target/openapi.json");
            std::fs::write(&fresh, made).expect("the target folder is writable");
            panic!("the types have changed; if that is meant: cp target/openapi.json src/web/openapi.json");
        }
    }
}
