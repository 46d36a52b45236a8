"""Ed25519 verification as 02 §4 fixes it, on integers: slow, and with nothing left to a library."""
from __future__ import annotations

import hashlib

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
ROOT = pow(2, (P - 1) // 4, P)  # of -1

Point = tuple[int, int]  # affine x, y
ZERO: Point = (0, 1)


def add(a: Point, b: Point) -> Point:
    product = D * a[0] * b[0] * a[1] * b[1] % P
    x = (a[0] * b[1] + b[0] * a[1]) * pow(1 + product, -1, P) % P
    y = (a[1] * b[1] + a[0] * b[0]) * pow(1 - product, -1, P) % P
    return x, y


def multiply(n: int, point: Point) -> Point:
    result = ZERO
    while n:
        if n & 1:
            result = add(result, point)
        point, n = add(point, point), n >> 1
    return result


def decode(data: bytes) -> Point | None:
    """A point by its y and the sign of x. y may be p or more, and 0 has both signs."""
    number = int.from_bytes(data, "little")
    sign, y = number >> 255, (number & 2**255 - 1) % P
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * ROOT % P
    if x * x % P != square:
        return None
    return (P - x if x and x & 1 != sign else x), y


def encode(point: Point) -> bytes:
    return (point[1] | (point[0] & 1) << 255).to_bytes(32, "little")


BASE = decode(bytes([0x58] + [0x66] * 31))


def verifies(signature: bytes, message: bytes, public_key: bytes) -> bool:
    """Whether encode(s·B − h·A) is the first half of the signature, byte for byte."""
    if len(signature) != 64 or len(public_key) != 32:
        return False
    point, s = decode(public_key), int.from_bytes(signature[32:], "little")
    if point is None or s >= ORDER:
        return False
    h = int.from_bytes(hashlib.sha512(signature[:32] + public_key + message).digest(), "little") % ORDER
    minus = (P - point[0]) % P, point[1]
    return encode(add(multiply(s, BASE), multiply(h, minus))) == signature[:32]
