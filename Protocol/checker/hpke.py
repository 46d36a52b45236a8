"""08 §2: HPKE (RFC 9180), mode base, DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20Poly1305: its first message."""
from __future__ import annotations

import hashlib
import hmac

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

KEM = b"KEM\x00\x20"
SUITE = b"HPKE\x00\x20\x00\x01\x00\x03"
BASE = b"\0"
KEY, NONCE, HASH = 32, 12, 32


def hmac_sha256(key: bytes, data: bytes) -> bytes:
    return hmac.new(key, data, hashlib.sha256).digest()


def extract(suite: bytes, salt: bytes, label: bytes, secret: bytes) -> bytes:
    """§4, LabeledExtract."""
    return hmac_sha256(salt, b"HPKE-v1" + suite + label + secret)


def expand(suite: bytes, prk: bytes, label: bytes, info: bytes, length: int) -> bytes:
    """§4, LabeledExpand, of at most one hash."""
    return hmac_sha256(prk, length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info + b"\1")[:length]


def public(key: X25519PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def shared_secret(own: X25519PrivateKey, other: bytes, enc: bytes, recipient: bytes) -> bytes:
    """§4.1, ExtractAndExpand. Raises ValueError where the keys share nothing but zeros (§7.1.4)."""
    shared = own.exchange(X25519PublicKey.from_public_bytes(other))
    return expand(KEM, extract(KEM, b"", b"eae_prk", shared), b"shared_secret", enc + recipient, HASH)


def key_schedule(shared: bytes, info: bytes) -> tuple[bytes, bytes]:
    """§5.1: the key, and the nonce of the first message."""
    context = BASE + extract(SUITE, b"", b"psk_id_hash", b"") + extract(SUITE, b"", b"info_hash", info)
    secret = extract(SUITE, shared, b"secret", b"")
    return expand(SUITE, secret, b"key", context, KEY), expand(SUITE, secret, b"base_nonce", context, NONCE)


def seal(own: X25519PrivateKey, recipient: bytes, info: bytes, aad: bytes, plaintext: bytes) -> tuple[bytes, bytes]:
    """§6.1, SealBase with this ephemeral key: the encapsulated key, and the ciphertext with its tag."""
    enc = public(own)
    key, nonce = key_schedule(shared_secret(own, recipient, enc, recipient), info)
    return enc, ChaCha20Poly1305(key).encrypt(nonce, plaintext, aad)


def unseal(recipient: X25519PrivateKey, enc: bytes, info: bytes, aad: bytes, box: bytes) -> bytes | None:
    """§6.1, OpenBase: the plaintext; None where the box doesn't open."""
    try:
        key, nonce = key_schedule(shared_secret(recipient, enc, enc, public(recipient)), info)
        return ChaCha20Poly1305(key).decrypt(nonce, box, aad)
    except (InvalidTag, ValueError):
        return None
