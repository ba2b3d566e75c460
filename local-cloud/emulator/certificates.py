"""The files of the --tls folder: a CA of its own, the server's certificate, and the key that signs OIDC tokens.

They are made again when they are missing, end within 30 days, or do not name the addresses that are wanted.
"""

import contextlib
import datetime
import ipaddress
import os
import ssl
import tempfile
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

REGISTRIES = ("000000000000.dkr.ecr.us-east-1.amazonaws.com", "public.ecr.aws")
RENEW_WITHIN = datetime.timedelta(days=30)
CA_LIFETIME = datetime.timedelta(days=3650)
SERVER_LIFETIME = datetime.timedelta(days=397)
SYSTEM_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")


def create(folder: Path, bridge_address: str) -> list[str]:
    """Completes the folder; returns the names of the files that were written."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []

    def write(name: str, content: bytes) -> None:
        path = folder / name
        if path.exists() and path.read_bytes() == content:
            return
        _write(path, content, 0o600 if name.endswith((".key", ".pem")) else 0o644)
        written.append(name)

    ca_key, ca = _load(folder / "ca.key", folder / "ca.crt")
    if ca is None or _ends_soon(ca):
        ca_key, ca = _certificate_authority()
        write("ca.key", _private(ca_key))
        write("ca.crt", _pem(ca))
    addresses = [ipaddress.ip_address(address) for address in ("127.0.0.1", bridge_address)]
    names = [x509.DNSName("localhost"), *map(x509.IPAddress, addresses), *map(x509.DNSName, REGISTRIES)]
    key, server = _load(folder / "server.key", folder / "server.crt")
    if server is None or _ends_soon(server) or not _signed_by(server, ca) or not _covers(server, names):
        key, server = _server(ca_key, ca, names)
        write("server.key", _private(key))
        write("server.crt", _pem(server))
    write("server.pem", _pem(server) + _pem(ca) + _private(key))
    oidc = _load_key(folder / "oidc.key")
    if oidc is None:
        oidc = _new_key()
        write("oidc.key", _private(oidc))
    public = serialization.PublicFormat.SubjectPublicKeyInfo
    write("oidc.pub", oidc.public_key().public_bytes(serialization.Encoding.PEM, public))
    write("bundle.crt", _system_bundle() + _pem(ca))
    for name in ("ca.key", "server.key", "server.pem", "oidc.key"):
        (folder / name).chmod(0o600)
    return written


def _write(path: Path, content: bytes, mode: int) -> None:
    """Writes atomically: a reader sees the old file or the new one."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(content)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def _new_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _load_key(path: Path) -> rsa.RSAPrivateKey | None:
    try:
        return serialization.load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError):
        return None


def _load(key_path: Path, certificate_path: Path) -> tuple[rsa.RSAPrivateKey | None, x509.Certificate | None]:
    """Key and certificate, or neither when one is missing, unreadable, or not of the other."""
    key = _load_key(key_path)
    try:
        certificate = x509.load_pem_x509_certificate(certificate_path.read_bytes())
    except (OSError, ValueError):
        return None, None
    if key is None or key.public_key() != certificate.public_key():
        return None, None
    return key, certificate


def _ends_soon(certificate: x509.Certificate) -> bool:
    return certificate.not_valid_after_utc - datetime.datetime.now(datetime.UTC) < RENEW_WITHIN


def _signed_by(certificate: x509.Certificate, ca: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(ca)
    except Exception:
        return False
    return True


def _covers(certificate: x509.Certificate, names: list[x509.GeneralName]) -> bool:
    try:
        present = list(certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        return False
    return all(name in present for name in names)


def _builder(subject: str, issuer: x509.Name | None, key: rsa.RSAPrivateKey, lifetime: datetime.timedelta):
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer or name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + lifetime)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _certificate_authority() -> tuple[rsa.RSAPrivateKey, x509.Certificate]:
    key = _new_key()
    usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
    builder = _builder("Bifora local cloud CA", None, key, CA_LIFETIME)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    return key, builder.add_extension(usage, critical=True).sign(key, hashes.SHA256())


def _server(ca_key, ca: x509.Certificate, names) -> tuple[rsa.RSAPrivateKey, x509.Certificate]:
    key = _new_key()
    builder = _builder("Bifora local cloud", ca.subject, key, SERVER_LIFETIME)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    builder = builder.add_extension(issuer, critical=False)
    builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return key, builder.sign(ca_key, hashes.SHA256())


def _private(key: rsa.RSAPrivateKey) -> bytes:
    plain = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, plain)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _system_bundle() -> bytes:
    candidates = (ssl.get_default_verify_paths().cafile, *SYSTEM_BUNDLES)
    for candidate in candidates:
        # Not SSL_CERT_FILE: it may name the very file that is written here.
        if candidate and candidate != os.environ.get("SSL_CERT_FILE") and Path(candidate).is_file():
            return Path(candidate).read_bytes().rstrip() + b"\n"
    return b""
