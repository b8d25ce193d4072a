"""The server's certificate: made by ourselves and pinned by the key statement, or files that somebody else made."""

import datetime as dt
import hashlib
import ipaddress
import os
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

CERTIFICATE_FILE, PRIVATE_KEY_FILE = "tls.crt", "tls.key"
YEARS = 10


def self_signed(directory: Path, hosts: list[str], now_ms: int) -> bytes:
    """The digest of the certificate in `directory`, made now if there is none: for a key statement to name.

    `hosts`: names and addresses that clients may call it by. Devices judge its digest, never its dates.
    """
    certificate_path, key_path = directory / CERTIFICATE_FILE, directory / PRIVATE_KEY_FILE
    if not certificate_path.exists():
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        key = ec.generate_private_key(ec.SECP256R1())
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        _write(key_path, pem, 0o600)
        _write(certificate_path, _certificate(key, hosts, now_ms).public_bytes(Encoding.PEM), 0o644)
    return certificate_digest(certificate_path)


def certificate_digest(path: Path) -> bytes:
    """SHA-256 over the DER form of the first certificate in a PEM file: what `serve` in a key statement names."""
    certificate = x509.load_pem_x509_certificates(path.read_bytes())[0]
    return hashlib.sha256(certificate.public_bytes(Encoding.DER)).digest()


def ends_ms(path: Path) -> int:
    """Until when the first certificate in a PEM file is valid."""
    certificate = x509.load_pem_x509_certificates(path.read_bytes())[0]
    return int(certificate.not_valid_after_utc.timestamp() * 1_000)


def server_context(certificate: Path, private_key: Path) -> ssl.SSLContext:
    """TLS 1.2 or newer. Raises OSError or ssl.SSLError for files that do not belong together."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, private_key)
    return context


def _certificate(key: ec.EllipticCurvePrivateKey, hosts: list[str], now_ms: int) -> x509.Certificate:
    now = dt.datetime.fromtimestamp(now_ms / 1_000, dt.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Tapgate central")])
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=365 * YEARS))
        .add_extension(x509.SubjectAlternativeName([_general_name(host) for host in hosts]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, SHA256())
    )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _write(path: Path, data: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
