"""Owns what is kept of a password: its scrypt digest as one line of text. Knows no user."""

import hmac
import secrets
from base64 import b64decode, b64encode
from hashlib import scrypt

COST, BLOCK = 2**14, 8  # of one digest, about 16 MB and a twentieth of a second


def digest(password: str, salt: bytes | None = None) -> str:
    """Return what the file of users holds of a password.

    >>> digest("open sesame", b"0123456789abcdef")[:31]
    'scrypt$MDEyMzQ1Njc4OWFiY2RlZg=='
    """
    salt = salt or secrets.token_bytes(16)
    hashed = scrypt(password.encode(), salt=salt, n=COST, r=BLOCK, p=1)
    return f"scrypt${b64encode(salt).decode()}${b64encode(hashed).decode()}"


def is_digest(text: object) -> bool:
    """Say whether this is what `digest` returns."""
    parts = text.split("$") if isinstance(text, str) else []
    try:
        return len(parts) == 3 and parts[0] == "scrypt" and all(b64decode(part, validate=True) for part in parts[1:])
    except ValueError:
        return False


def is_password(password: str, kept: str) -> bool:
    """Say whether what is kept is of this password."""
    return hmac.compare_digest(digest(password, b64decode(kept.split("$")[1])), kept)
