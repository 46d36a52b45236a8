"""ChaCha20-Poly1305 as RFC 8439 §2 has it, on integers: slow, and with nothing left to a library."""
from __future__ import annotations

import hmac
import struct

MASK = 2**32 - 1
PRIME = 2**130 - 5
CONSTANTS = struct.unpack("<4I", b"expand 32-byte k")
ROUNDS = ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
          (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14))


def rotate(n: int, by: int) -> int:
    return (n << by | n >> 32 - by) & MASK


def block(key: bytes, counter: int, nonce: bytes) -> bytes:
    """§2.3."""
    start = [*CONSTANTS, *struct.unpack("<8I", key), counter, *struct.unpack("<3I", nonce)]
    s = list(start)
    for _ in range(10):
        for a, b, c, d in ROUNDS:
            for x, y, z, by in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
                s[x] = s[x] + s[y] & MASK
                s[z] = rotate(s[z] ^ s[x], by)
    return struct.pack("<16I", *(a + b & MASK for a, b in zip(s, start)))


def crypt(key: bytes, nonce: bytes, data: bytes) -> bytes:
    """§2.4, from counter 1 on."""
    stream = b"".join(block(key, 1 + i, nonce) for i in range((len(data) + 63) // 64))
    return bytes(a ^ b for a, b in zip(data, stream))


def tag(key: bytes, nonce: bytes, ciphertext: bytes) -> bytes:
    """§2.8, without associated data."""
    once = block(key, 0, nonce)[:32]
    r = int.from_bytes(once[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    s = int.from_bytes(once[16:], "little")
    data = ciphertext + bytes(-len(ciphertext) % 16) + struct.pack("<QQ", 0, len(ciphertext))
    sum_ = 0
    for at in range(0, len(data), 16):
        sum_ = (sum_ + int.from_bytes(data[at:at + 16] + b"\1", "little")) * r % PRIME
    return (sum_ + s & 2**128 - 1).to_bytes(16, "little")


def seal(key: bytes, nonce: bytes, plaintext: bytes) -> bytes:
    """The ciphertext, and the tag behind it."""
    ciphertext = crypt(key, nonce, plaintext)
    return ciphertext + tag(key, nonce, ciphertext)


def unseal(key: bytes, nonce: bytes, box: bytes) -> bytes | None:
    """The plaintext; None where the tag is another."""
    if len(box) < 16 or not hmac.compare_digest(tag(key, nonce, box[:-16]), box[-16:]):
        return None
    return crypt(key, nonce, box[:-16])
