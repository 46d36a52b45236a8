"""02 §4, 12 §2: puts a library in the place of the checker's integer arithmetic.

The checker calls both through its modules, so what is set here serves its readers too; `vectors` holds it against all
vectors.
"""
from __future__ import annotations

from checker import chacha, ed25519
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305


def verifies(signature: bytes, message: bytes, public_key: bytes) -> bool:
    """02 §4 "Which signatures are valid"."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def seal(key: bytes, nonce: bytes, plaintext: bytes) -> bytes:
    return ChaCha20Poly1305(key).encrypt(nonce, plaintext, None)


def unseal(key: bytes, nonce: bytes, box: bytes) -> bytes | None:
    try:
        return ChaCha20Poly1305(key).decrypt(nonce, box, None)
    except InvalidTag:
        return None


def install() -> None:
    ed25519.verifies, chacha.seal, chacha.unseal = verifies, seal, unseal
