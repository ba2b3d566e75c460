//! The id that ties an answer to its log line and to the load balancer's.

use std::fmt;

use axum::http::{HeaderMap, HeaderName, HeaderValue};

/// The header of the answer, and the first that is looked at in a request.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const X_AMZN_TRACE_ID: HeaderName = HeaderName::from_static("x-amzn-trace-id");

const LONGEST: usize = 128;

/// A request's id: the client's or the load balancer's when well-formed, else a random one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// Takes the id from the headers of a request, or makes one.
    pub fn of(headers: &HeaderMap) -> Self {
        let given = [&X_REQUEST_ID, &X_AMZN_TRACE_ID]
            .into_iter()
            .find_map(|name| headers.get(name).filter(|v| well_formed(v)));
        given.cloned().map_or_else(Self::random, Self)
    }

    /// 32 hexadecimal digits.
    fn random() -> Self {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let number = fastrand::u128(..);
        let id: [u8; 32] = std::array::from_fn(|at| DIGITS[(number >> (4 * at)) as usize & 15]);
        Self(HeaderValue::from_bytes(&id).expect("hexadecimal digits make a header"))
    }

    /// The value for the answer's header.
    pub fn header(&self) -> HeaderValue {
        self.0.clone()
    }
}

/// 1 to 128 of the characters that ids are made of; `=` and `;` are in the load balancer's.
fn well_formed(id: &HeaderValue) -> bool {
    (1..=LONGEST).contains(&id.len())
        && id
            .as_bytes()
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.:=;/+@".contains(b))
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.to_str().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(pairs: &[(&'static str, &str)]) -> String {
        let headers = pairs.iter().map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_str(value).expect("a header"),
            )
        });
        RequestId::of(&headers.collect()).to_string()
    }

    #[test]
    fn well_formed_ids_are_kept() {
        let trace = "Self=1-67891234-12456789abcdef012345678;Root=1-67891233-abcdef012345678912345678";
        assert_eq!(
            of(&[("x-request-id", "7f3a-1"), ("x-amzn-trace-id", trace)]),
            "7f3a-1"
        );
        assert_eq!(of(&[("x-amzn-trace-id", trace)]), trace);
        assert_eq!(
            of(&[("x-request-id", "no spaces"), ("x-amzn-trace-id", trace)]),
            trace
        );
    }

    #[test]
    fn others_are_replaced() {
        let long = "a".repeat(129);
        for bad in ["", "a b", "<script>", "a\"b", "{}", "${jndi}", long.as_str()] {
            let id = of(&[("x-request-id", bad)]);
            assert!(
                id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()),
                "{bad} became {id}"
            );
        }
        assert_ne!(of(&[]), of(&[]));
    }

    proptest! {
        #[test]
        fn any_header_gives_a_harmless_id(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                let id = RequestId::of(&HeaderMap::from_iter([(X_REQUEST_ID, value)])).to_string();
                prop_assert!((1..=LONGEST).contains(&id.len()));
                prop_assert!(!id.contains(['"', '<', '>', ' ', '\\', '{', '$']), "{}", id);
            }
        }
    }
}
