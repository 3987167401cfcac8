"""Texts under seal: AES-256-GCM, each bound to what it belongs to. Imported when one is needed."""

import base64
import binascii
import json
import os
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from freeroute.errors import ConfigError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
NONCE_BYTES = 12
"""As NIST SP 800-38D advises; at random, one key is good for four thousand million texts."""

VARIABLE = "FREEROUTE_ENCRYPTION_KEY"


class Unopened(Exception):
    """What was sealed does not open: with another key, for something else, or not as it was written."""


class Seal:
    """One encryption key."""

    def __init__(self, key: bytes) -> None:
        """Seal with the 32 bytes of *key*."""
        self._key = key
        self._cipher: AESGCM | None = None

    def __repr__(self) -> str:
        """Never show the key."""
        return "Seal()"

    def close(self, text: str, *about: str) -> str:
        """Return *text* sealed, to be opened only by who says the same *about* it."""
        nonce = os.urandom(NONCE_BYTES)
        sealed = self._aes().encrypt(nonce, text.encode(), _bound(about))
        return base64.b64encode(nonce + sealed).decode()

    def open(self, sealed: str, *about: str) -> str:
        """Return the text that was *sealed*; raises Unopened."""
        from cryptography.exceptions import InvalidTag

        try:
            raw = base64.b64decode(sealed, validate=True)
            return self._aes().decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], _bound(about)).decode()
        except (InvalidTag, ValueError) as exc:
            raise Unopened from exc

    def _aes(self) -> "AESGCM":
        if self._cipher is None:
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM

            self._cipher = AESGCM(self._key)
        return self._cipher


def _bound(about: Sequence[str]) -> bytes:
    # JSON keeps ("a", "bc") and ("ab", "c") apart.
    return json.dumps(["freeroute", *about]).encode()


def new_key() -> str:
    """Return a new encryption key, as it is written."""
    return base64.b64encode(os.urandom(KEY_BYTES)).decode()


def key_of(text: str, where: str) -> bytes:
    """Return the bytes of a key that was written in base64 or hex; raises ConfigError that names *where*."""
    try:
        if re.fullmatch(r"[0-9a-fA-F]{64}", text):
            return bytes.fromhex(text)
        key = base64.b64decode(
            text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4), validate=True
        )
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise ConfigError(
            f"{where}: expected {KEY_BYTES} bytes in base64 or hex; `openssl rand -base64 32` makes one"
        )
    return key
