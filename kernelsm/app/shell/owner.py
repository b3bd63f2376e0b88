"""Who this session is: a secret that never leaves the server's memory, and what may be shown or written instead.

A link says what to look at and lets everybody look. Changing, sharing in full and deleting takes more: a secret of
whoever brought or computed the thing. It comes from the cookie that Streamlit gives every browser against forged
requests, so that loading a page anew or opening a second tab keeps what is one's own; where there is no such cookie,
it is drawn at random for the session. It stands in no address, link, log, page or file.

What is written are hashes: `owner` for jobs, and for each thing that is kept an `owner_ids` of its own. A session
file holds a `proof` for each thing in it and for nothing else, so that who is given the file owns what he was given.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets

import streamlit as st

_SECRET, _PROOFS = "kernelsm_owner_secret", "kernelsm_owner_proofs"
_COOKIE = "_streamlit_xsrf"
_FEWEST_BYTES = 16
_LENGTH = 32


def owner() -> str:
    """Return the public name of this session's owner, 32 hex digits; it grants nothing and may stand in files."""
    return public_id(_secret())


def proof(key: str) -> str:
    """Return what proves that this session's owner owns the thing of this key, and no other thing."""
    return proof_by(_secret(), key)


def owner_ids(key: str) -> tuple[str, ...]:
    """Return the public ids under which this session may own the thing of a key: its own, then one from a file."""
    taken_over = _taken_over().get(key)
    return tuple(public_id(one) for one in (proof(key), taken_over) if one)


def take_over(key: str, other_proof: str) -> None:
    """Own the thing of a key as who wrote a session file does: `other_proof` came in the file."""
    st.session_state[_PROOFS] = {**_taken_over(), key: other_proof}


def _secret() -> str:
    if _SECRET not in st.session_state:
        token = _cookie_token()
        st.session_state[_SECRET] = token.hex() if token else secrets.token_urlsafe(32)
    secret: str = st.session_state[_SECRET]
    return secret


def _taken_over() -> dict[str, str]:
    proofs: dict[str, str] = st.session_state.get(_PROOFS, {})
    return proofs


def proof_by(secret: str, key: str) -> str:
    """Return what proves that who has this secret owns the thing of a key: 64 hex digits."""
    return hmac.new(secret.encode(), key.encode(), "sha256").hexdigest()


def public_id(secret: str) -> str:
    """Return what may be written of a secret or a proof: 32 hex digits."""
    return hashlib.sha256(f"kernelsm owner {secret}".encode()).hexdigest()[:_LENGTH]


def _cookie_token() -> bytes:
    """The random bytes in the browser's cookie, which hides them anew each time; b"" where there are none."""
    cookie = st.context.cookies.get(_COOKIE)
    parts = cookie.strip("\"'").split("|") if isinstance(cookie, str) else []  # the test harness has a mock there
    try:
        mask, hidden = bytes.fromhex(parts[1]), bytes.fromhex(parts[2])
    except (IndexError, ValueError):
        return b""
    token = bytes(byte ^ mask[place % len(mask)] for place, byte in enumerate(hidden)) if mask else b""
    return token if parts[0] == "2" and len(set(token)) > 1 and len(token) >= _FEWEST_BYTES else b""
