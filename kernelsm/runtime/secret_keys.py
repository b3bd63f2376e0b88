"""Keys of services: held in memory, handed to the process of a job through its standard input, never written."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterable, Mapping
from typing import BinaryIO, NoReturn

ON_STDIN = "KERNELSM_KEYS_ON_STDIN"
"""Tells the process of a job to read keys from its standard input."""
_MOST = 1_000  # keys that a server remembers; the oldest are forgotten first
_LONGEST = 64 * 2**10


class Secret:
    """A text that shows itself only where it is asked to: not when printed, and it cannot be pickled.

    Examples
    --------
    >>> secret = Secret("sk-123")
    >>> secret
    Secret(...)
    >>> secret.reveal()
    'sk-123'
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(...)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not written down")


class KeysInMemory:
    """The keys that owners have typed, each for one address.

    Examples
    --------
    >>> keys = KeysInMemory()
    >>> keys.keep("ab12", "https://example.org/v1", Secret("sk-123"))
    >>> keys.of(["cd34", "ab12"])
    {'https://example.org/v1': Secret(...)}
    >>> keys.forget("ab12", "https://example.org/v1")
    >>> keys.of(["ab12"])
    {}
    """

    def __init__(self) -> None:
        self._keys: dict[tuple[str, str], Secret] = {}
        self._lock = threading.Lock()

    def keep(self, owner: str, address: str, secret: Secret) -> None:
        """Remember an owner's key for an address, in place of the one before."""
        with self._lock:
            self._keys.pop((owner, address), None)
            self._keys[owner, address] = secret
            while len(self._keys) > _MOST:
                del self._keys[next(iter(self._keys))]

    def forget(self, owner: str, address: str) -> None:
        """Forget an owner's key for an address."""
        with self._lock:
            self._keys.pop((owner, address), None)

    def of(self, owners: Iterable[str]) -> dict[str, Secret]:
        """Return the keys of some owners by address; the first owner's where several have one."""
        with self._lock:
            found: dict[str, Secret] = {}
            for owner in owners:
                for (whose, address), secret in self._keys.items():
                    if whose == owner:
                        found.setdefault(address, secret)
            return found


TYPED = KeysInMemory()
"""What was typed into this server."""
_HANDED: dict[str, Secret] = {}


def written_for_a_job(keys: Mapping[str, Secret]) -> bytes:
    """Return keys as the process of a job reads them with `read_handed`."""
    return json.dumps({address: secret.reveal() for address, secret in keys.items()}).encode()


def read_handed(stream: BinaryIO) -> None:
    """Read the keys that this process was started with, where it was told that there are any."""
    if os.environ.pop(ON_STDIN, "") == "1":
        content = json.loads(stream.read(_LONGEST))
        _HANDED.update({address: Secret(text) for address, text in content.items()})


def handed(address: str) -> Secret | None:
    """Return the key for an address that this process was started with."""
    return _HANDED.get(address)
