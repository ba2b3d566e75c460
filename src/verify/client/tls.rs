//! TLS 1.2 and 1.3, with the roots of Mozilla compiled in, or those of a file in their place.

use std::io;
use std::path::Path;
use std::sync::Arc;

use hyper::body::Bytes;
use rustix::rand::{GetRandomFlags, getrandom};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring::{cipher_suite, kx_group};
use tokio_rustls::rustls::crypto::{
    CryptoProvider, GetRandomFailed, KeyProvider, SecureRandom, WebPkiSupportedAlgorithms,
};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::sign::SigningKey;
use tokio_rustls::rustls::{self, CertificateError, ClientConfig, RootCertStore, SignatureScheme};
use webpki::ring as algorithms;

use super::address::{Address, Host};
use crate::http_client::Stream;
use crate::text;
use crate::verify::observation::{Failure, FailureKind};

/// The largest file of certificates that is read, in bytes: the whole of Mozilla's roots is a quarter of it.
const LARGEST: u64 = 1 << 20;

/// Why a file of certificates cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    /// It cannot be read.
    #[error("it cannot be read: {0}")]
    File(#[from] io::Error),
    /// It is not what it should be.
    #[error("{0}; expected certificates in PEM, which begin with -----BEGIN CERTIFICATE-----")]
    Content(&'static str),
}

/// The settings of all connections: whom to trust.
///
/// # Panics
///
/// Never: the provider is this program's own, and has suites for both versions of TLS.
pub fn connector(ca_file: Option<&Path>) -> Result<TlsConnector, CaError> {
    let mut roots = RootCertStore::empty();
    match ca_file {
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(path) => {
            for certificate in CertificateDer::pem_slice_iter(&read(path)?) {
                let certificate = certificate.map_err(|_| CaError::Content("it is not in PEM"))?;
                roots
                    .add(certificate)
                    .map_err(|_| CaError::Content("a certificate in it cannot be read"))?;
            }
            if roots.is_empty() {
                return Err(CaError::Content("it has no certificate"));
            }
        }
    }
    let config = ClientConfig::builder_with_provider(Arc::new(provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider has suites for both versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

fn read(path: &Path) -> Result<Bytes, CaError> {
    use io::Read as _;
    let mut content = Vec::new();
    std::fs::File::open(path)?
        .take(LARGEST + 1)
        .read_to_end(&mut content)?;
    if content.len() as u64 > LARGEST {
        return Err(CaError::Content("it has more than 1 MiB"));
    }
    Ok(content.into())
}

/// Speaks TLS over a connection.
pub async fn wrap(connector: &TlsConnector, stream: Stream, target: &Address) -> Result<Stream, Failure> {
    let name = match &target.host {
        Host::Ip(ip) => ServerName::IpAddress((*ip).into()),
        Host::Name(name) => ServerName::try_from(name.clone()).map_err(|_| {
            Failure::new(
                FailureKind::Certificate,
                format!("no certificate can be for {name}"),
            )
        })?,
    };
    match connector.connect(name, stream).await {
        Ok(stream) => Ok(Box::new(stream)),
        Err(error) => Err(explained(&error, target)),
    }
}

/// What went wrong, in words.
fn explained(error: &io::Error, target: &Address) -> Failure {
    let inner = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let Some(inner) = inner else {
        return Failure::new(
            FailureKind::Unanswered,
            format!(
                "{} ends the connection during the TLS handshake: {error}",
                target.authority()
            ),
        );
    };
    let shown = |text: String| text::clean(&text).unwrap_or_default();
    if let rustls::Error::InvalidCertificate(why) = inner {
        let said = match why {
            CertificateError::Expired => "it has expired".to_owned(),
            CertificateError::ExpiredContext { not_after, .. } => {
                let when = std::time::UNIX_EPOCH + std::time::Duration::from_secs(not_after.as_secs());
                format!("it expired on {}", text::rfc3339(when).unwrap_or_default())
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "it is not valid yet; is this machine's clock right?".to_owned()
            }
            CertificateError::UnknownIssuer => {
                "it is by an authority that is not trusted (a private one is named by --ca-file)".to_owned()
            }
            CertificateError::NotValidForName => format!("it is not for {}", target.host),
            CertificateError::NotValidForNameContext { presented, .. } => {
                let names: Vec<_> = presented.iter().take(5).map(String::as_str).collect();
                format!("it is not for {}, but for {}", target.host, names.join(", "))
            }
            other => other.to_string(),
        };
        return Failure::new(
            FailureKind::Certificate,
            shown(format!("the certificate of {}: {said}", target.authority())),
        );
    }
    Failure::new(
        FailureKind::Protocol,
        shown(format!(
            "{} does not speak TLS that is understood here: {inner}",
            target.authority()
        )),
    )
}

/// As little as every server speaks: leaving out `ChaCha20`, X25519, Ed25519 and keys of our own saves 200 kB. TLS 1.3 itself
/// demands `AES-128-GCM` and P-256 of everyone (RFC 8446, 9.1).
fn provider() -> CryptoProvider {
    CryptoProvider {
        cipher_suites: vec![
            cipher_suite::TLS13_AES_256_GCM_SHA384,
            cipher_suite::TLS13_AES_128_GCM_SHA256,
            cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
            cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
            cipher_suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
            cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        ],
        kx_groups: vec![kx_group::SECP256R1, kx_group::SECP384R1],
        signature_verification_algorithms: SIGNATURES,
        secure_random: &Kernel,
        key_provider: &Kernel,
    }
}

/// As in `rustls::crypto::ring`, but for Ed25519, which no public authority issues.
static SIGNATURES: WebPkiSupportedAlgorithms = WebPkiSupportedAlgorithms {
    all: &[
        algorithms::ECDSA_P256_SHA256,
        algorithms::ECDSA_P256_SHA384,
        algorithms::ECDSA_P384_SHA256,
        algorithms::ECDSA_P384_SHA384,
        algorithms::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
        algorithms::RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
        algorithms::RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
        algorithms::RSA_PKCS1_2048_8192_SHA256,
        algorithms::RSA_PKCS1_2048_8192_SHA384,
        algorithms::RSA_PKCS1_2048_8192_SHA512,
        algorithms::RSA_PKCS1_2048_8192_SHA256_ABSENT_PARAMS,
        algorithms::RSA_PKCS1_2048_8192_SHA384_ABSENT_PARAMS,
        algorithms::RSA_PKCS1_2048_8192_SHA512_ABSENT_PARAMS,
    ],
    mapping: &[
        // In TLS 1.2 the curve does not follow from the scheme.
        (
            SignatureScheme::ECDSA_NISTP384_SHA384,
            &[algorithms::ECDSA_P384_SHA384, algorithms::ECDSA_P256_SHA384],
        ),
        (
            SignatureScheme::ECDSA_NISTP256_SHA256,
            &[algorithms::ECDSA_P256_SHA256, algorithms::ECDSA_P384_SHA256],
        ),
        (
            SignatureScheme::RSA_PSS_SHA512,
            &[algorithms::RSA_PSS_2048_8192_SHA512_LEGACY_KEY],
        ),
        (
            SignatureScheme::RSA_PSS_SHA384,
            &[algorithms::RSA_PSS_2048_8192_SHA384_LEGACY_KEY],
        ),
        (
            SignatureScheme::RSA_PSS_SHA256,
            &[algorithms::RSA_PSS_2048_8192_SHA256_LEGACY_KEY],
        ),
        (
            SignatureScheme::RSA_PKCS1_SHA512,
            &[algorithms::RSA_PKCS1_2048_8192_SHA512],
        ),
        (
            SignatureScheme::RSA_PKCS1_SHA384,
            &[algorithms::RSA_PKCS1_2048_8192_SHA384],
        ),
        (
            SignatureScheme::RSA_PKCS1_SHA256,
            &[algorithms::RSA_PKCS1_2048_8192_SHA256],
        ),
    ],
};

/// The kernel's random numbers; and no keys, since nobody asks a gate for a certificate.
#[derive(Debug)]
struct Kernel;

impl SecureRandom for Kernel {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), GetRandomFailed> {
        let mut filled = 0;
        while filled < buffer.len() {
            match getrandom(&mut buffer[filled..], GetRandomFlags::empty()) {
                Ok(count) => filled += count,
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => return Err(GetRandomFailed),
            }
        }
        Ok(())
    }
}

impl KeyProvider for Kernel {
    fn load_private_key(&self, _: PrivateKeyDer<'static>) -> Result<Arc<dyn SigningKey>, rustls::Error> {
        Err(rustls::Error::General("there are no keys here".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_public_roots_are_compiled_in() {
        assert!(webpki_roots::TLS_SERVER_ROOTS.len() > 100);
        assert!(connector(None).is_ok());
    }

    #[test]
    fn what_is_no_file_of_certificates_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("ca.pem");
        let refused = || connector(Some(&path)).err().expect("refused").to_string();
        assert!(refused().contains("No such file"));
        for (content, part) in [
            ("", "no certificate"),
            ("hello", "no certificate"),
            (
                "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
                "cannot be read",
            ),
            (
                "-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n",
                "not in PEM",
            ),
            (
                "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n",
                "no certificate",
            ),
        ] {
            std::fs::write(&path, content).expect("writable");
            assert!(refused().contains(part), "{content}: {}", refused());
        }
        std::fs::write(&path, vec![b' '; 2 << 20]).expect("writable");
        assert!(refused().contains("more than 1 MiB"));
    }
}
