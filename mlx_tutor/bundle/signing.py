"""Ed25519 signatures of a bundle's manifest, with keys as OpenSSH or PEM writes them."""

import base64
import hashlib
import json
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
    load_ssh_private_key,
    load_ssh_public_key,
)

from mlx_tutor.errors import TutorError

# So that what a key signs here can be taken for nothing else that it signs.
PREFIX = b"mlx-tutor bundle\n"
MAKE_KEY = 'ssh-keygen -t ed25519 -N "" -f course-key'
MOST_BYTES = 1 << 16


def read_private_key(path: Path) -> Ed25519PrivateKey:
    """The key that signs, from a file of `ssh-keygen` or openssl.

    Raises:
        TutorError: no file, another kind of key, or one with a passphrase.
    """
    data = _read(path)
    try:
        key = load_ssh_private_key(data, None) if b"OPENSSH" in data else load_pem_private_key(data, None)
    except TypeError as err:
        raise TutorError(f"The key {path} has a passphrase. Make one without, for bundles alone: {MAKE_KEY}") from err
    except (ValueError, UnsupportedAlgorithm) as err:
        raise TutorError(f"{path} is not a private key that can be read. Make one with: {MAKE_KEY}") from err
    if not isinstance(key, Ed25519PrivateKey):
        raise TutorError(f"The key {path} is not of the kind Ed25519. Make one with: {MAKE_KEY}")
    return key


def read_public_key(path: Path) -> Ed25519PublicKey:
    """The key that a signature is checked with; raises TutorError where the file has none."""
    data = _read(path)
    if b"PRIVATE KEY" in data:
        raise TutorError(f"{path} is a private key. Give the public one, as ssh-keygen writes it: {path}.pub")
    try:
        key = load_pem_public_key(data) if b"BEGIN" in data else load_ssh_public_key(data.strip())
    except (ValueError, UnsupportedAlgorithm) as err:
        raise TutorError(f"{path} is not a public key that can be read. Ask who packed the course for it.") from err
    if not isinstance(key, Ed25519PublicKey):
        raise TutorError(f"The key {path} is not of the kind Ed25519. Ask who packed the course for theirs.")
    return key


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MOST_BYTES)
    except OSError as err:
        raise TutorError(f"The key {path} cannot be read: {err.strerror}.") from err


def name_key(key: Ed25519PublicKey) -> str:
    """The fingerprint of a key as `ssh-keygen -lf` prints it."""
    blob = base64.b64decode(key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).split()[1])
    return f"SHA256:{base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip('=')}"


def sign(manifest: bytes, key: Ed25519PrivateKey) -> bytes:
    """The content of `manifest.sig`: the public key and its signature of the manifest."""
    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    parts = {"key": public, "signature": key.sign(PREFIX + manifest)}
    text = {"kind": "ed25519"} | {name: base64.b64encode(part).decode() for name, part in parts.items()}
    return (json.dumps(text, indent=1) + "\n").encode()


def verify(manifest: bytes, signature: bytes) -> str:
    """Check a signature; returns the fingerprint of the key that made it.

    Raises:
        TutorError: it is broken, or of another manifest.
    """
    try:
        found = json.loads(signature)
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(found["key"], validate=True))
        key.verify(base64.b64decode(found["signature"], validate=True), PREFIX + manifest)
    except InvalidSignature as err:
        raise TutorError("the signature does not fit: the manifest or the signature was changed") from err
    except (ValueError, TypeError, KeyError, RecursionError) as err:
        raise TutorError("the signature is broken") from err
    return name_key(key)


def check_signer(path: Path, signed_by: str | None, key: Ed25519PublicKey) -> None:
    """Raise TutorError unless this key signed a bundle whose signature was found to be valid."""
    if signed_by is None:
        raise TutorError(f"{path} is not signed, and {name_key(key)} was asked for. Nothing was opened.")
    if signed_by != name_key(key):
        raise TutorError(f"{path} was signed by {signed_by}, not by {name_key(key)}. Nothing was opened.")
