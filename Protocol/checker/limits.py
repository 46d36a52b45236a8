"""01 §3: limits; other numbers that several parts use; and the two errors of the checker."""
from __future__ import annotations

MAX_SCALAR, MAX_CHANGESET, MAX_NEW_ROWS, MAX_RUN = 65_536, 262_144, 65_536, 1_024
MAX_STORED, MAX_EXPANDED, MAX_HEADER, MAX_WINDOW = 524_288, 4_194_304, 196_608, 8_388_608
MAX_AUTHOR, MAX_SCOPE, MAX_DOT_ITEMS, MAX_PLACES, MAX_LEVELS = 200, 64, 8_192, 4_096, 8
MAX_SEQ, MAX_INCARNATION, MAX_MS, MAX_NUMBER = 2**63 - 1, 2**63 - 1, 2**48 - 1, 2**32 - 1
MAX_BODY_ROWS, MAX_BODY_OPS, MAX_BODY_DOTS, MAX_BODY_VALUES = 131_072, 262_144, 524_288, 4_194_304
MAX_SOURCES, MAX_SOURCE_BYTES = 16, 8_388_608
CHECK, TAG, MAX_BOX, MAX_ERASURE, MAX_ERASED = 16, 16, 65_632, 8_192, 256
FORMAT, CRITICAL, MAX_SCOPES, MAX_OFFSET = 1, 128, 256, 2**62 - 1
MAX_KEYS = 1_048_576
INT_MIN, INT_MAX = -2**63, 2**63 - 1
# 02 §7: the codes of refusals, from number 1 on
CODES = ["RETRY", "GAP", "FORK", "REWOUND", "EPOCH", "REVOKED", "SCOPE", "UPGRADE", "POISON", "TOO_LARGE"]


class Reject(Exception):
    """A reader refuses bytes, with one of the reasons of 01 §1, or of the words of 08 §5."""


class BadVector(Exception):
    """The line isn't in the form of 01 §6, or is of a kind that isn't known."""
