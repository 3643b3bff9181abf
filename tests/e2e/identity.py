"""Keys and self-signed certificates of members and users, as files that TLS can use."""
import datetime
import hashlib
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

CURVES = {"secp256r1": (ec.SECP256R1, hashes.SHA256), "secp384r1": (ec.SECP384R1, hashes.SHA384),
          "secp521r1": (ec.SECP521R1, hashes.SHA512)}
DAY = datetime.timedelta(days=1)


class Identity:
    """A certificate with its private key, and where both lie."""

    def __init__(self, certificate_file, key_file):
        self.certificate_file, self.key_file = Path(certificate_file), Path(key_file)
        self.certificate = x509.load_pem_x509_certificate(self.certificate_file.read_bytes())

    @property
    def id(self):
        """What the service calls the owner: the digest of the certificate."""
        return self.certificate.fingerprint(hashes.SHA256()).hex()


def write_identity(folder, name, curve="secp256r1", begins=-DAY, lasts=30 * DAY):
    """Makes a fresh identity; `begins` is counted from now."""
    curve_class, digest = CURVES[curve]
    key = ec.generate_private_key(curve_class())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    start = datetime.datetime.utcnow() + begins
    certificate = (
        x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(start).not_valid_after(start + lasts)
        .sign(key, digest()))
    certificate_file, key_file = Path(folder) / f"{name}_cert.pem", Path(folder) / f"{name}_privk.pem"
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(private_pem(key))
    key_file.chmod(0o600)
    return Identity(certificate_file, key_file)


def private_pem(key):
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def public_pem(key):
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def write_encryption_key(path):
    """The public half of a key that nobody keeps: enough for a member who never recovers anything."""
    Path(path).write_bytes(public_pem(rsa.generate_private_key(65537, 2048).public_key()))


def key_id(public_key):
    der = public_key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()
