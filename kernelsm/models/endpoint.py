"""Speaks to an OpenAI-compatible endpoint: several calls at a time, again after failures, within what may be spent.

Every answer is kept in the store under the endpoint, the model and what was asked, never under the key, as soon as it
arrives: nothing is paid for twice, also where a process is killed in between.
"""

from __future__ import annotations

import email.utils
import json
import random
import threading
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kernelsm.models.endpoint_address import EndpointAddress, key_for
from kernelsm.runtime.checks import check_whole
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.extras import needed_by
from kernelsm.runtime.secret_keys import Secret
from kernelsm.runtime.store import MISSING, ChunkKind, Store

if TYPE_CHECKING:
    import httpx2

ENDPOINT_ANSWERS = ChunkKind("endpoint_answers", version=1)
_TRY_AGAIN = frozenset((408, 409, 425, 429, 500, 502, 503, 504, 529))
_FIRST_WAIT, _LONGEST_WAIT = 0.5, 30.0
_LONGEST_ASKED_FOR = 300.0  # seconds; an endpoint that asks for more has no room today
_MOST_BYTES = 8 * 2**20
_LONGEST_REASON = 200
_TELLING = 8  # letters of a key that are not repeated


@dataclass(frozen=True)
class EndpointLimits:
    """How an endpoint is asked, and how much at most.

    Parameters
    ----------
    calls : int
        Most requests that are sent, tries that failed included. What is kept in the store costs none.
    tokens : int
        Most tokens of prompts and answers, as the endpoint counts them; where it does not, four characters are one.
    a_minute : int
        Most requests that are begun in a minute.
    at_once : int
        Requests under way at the same time, 1 to 64.
    seconds : float
        After which a request counts as lost.
    tries : int
        How often a request is sent before its failure is one.

    Raises
    ------
    InputError
        One of them is out of its range.
    """

    calls: int = 20_000
    tokens: int = 20_000_000
    a_minute: int = 500
    at_once: int = 8
    seconds: float = 60.0
    tries: int = 6

    def __post_init__(self) -> None:
        for name, most in (("calls", 10**8), ("tokens", 10**12), ("a_minute", 10**6), ("at_once", 64), ("tries", 20)):
            check_whole(name, getattr(self, name), 1, most)
        if not 0 < self.seconds <= 3600:
            raise InputError("seconds", f"{self.seconds}", "more than 0, at most 3600", "Choose such a time.")


class SpentError(InputError):
    """As much was asked as was allowed; what was answered is kept."""


class Endpoint:
    """An endpoint that is asked.

    Parameters
    ----------
    address : EndpointAddress
    store : Store, optional
        Where answers are kept; without one they are not.
    limits : EndpointLimits
    key : Secret, optional
        See `key_for`, which finds it where it is not given.

    Attributes
    ----------
    calls, tokens : int
        Sent, and spent, so far.
    reused : int
        Answers that were kept.
    """

    def __init__(
        self,
        address: EndpointAddress,
        store: Store | None = None,
        limits: EndpointLimits | None = None,
        key: Secret | None = None,
    ) -> None:
        self.address, self.store, self.limits = address, store, limits or EndpointLimits()
        self._key = key or key_for(address)
        self.calls = self.tokens = self.reused = 0
        self._lock = threading.Lock()
        self._next = 0.0
        self._newer = False
        self._stop = threading.Event()
        self._http: httpx2.Client | None = None

    def __getstate__(self) -> dict[str, Any]:
        raise TypeError("an endpoint is asked by the process that opened it")

    def all(self, path: str, bodies: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the answer to each request, from the store where it was asked before.

        Parameters
        ----------
        path : str
            "chat/completions" or "completions".
        bodies : sequence of dict
            What is sent, without the model's name; JSON types only.

        Returns
        -------
        list of dict
            What came back: "choices", and "usage" where it was told.

        Raises
        ------
        SpentError
            The limits are reached; the answers so far are kept.
        InputError
            The endpoint refuses, or does not answer, in as many tries as are allowed.
        """
        found: list[Any] = [MISSING] * len(bodies)
        missing: dict[str, list[int]] = {}
        for number, body in enumerate(bodies):
            missing.setdefault(json.dumps(body, sort_keys=True), []).append(number)
        for text in list(missing):
            kept: Any = self.store.find(ENDPOINT_ANSWERS, self._key_of(path, text)) if self.store else MISSING
            if kept is not MISSING:
                with self._lock:
                    self.reused += 1
                for number in missing.pop(text):
                    found[number] = json.loads(kept)
        if not missing:
            return found
        self._stop.clear()
        pool = ThreadPoolExecutor(min(self.limits.at_once, len(missing)), thread_name_prefix="endpoint")
        try:
            futures = {pool.submit(self._asked, path, text): numbers for text, numbers in missing.items()}
            done, _ = wait(futures, return_when=FIRST_EXCEPTION)
            failed = [error for future in done if (error := future.exception())]
            if failed:
                if isinstance(failed[0], SpentError):  # what was begun before may be finished
                    pool.shutdown(wait=True, cancel_futures=True)
                raise failed[0]
            for future, numbers in futures.items():
                for number in numbers:
                    found[number] = future.result()
        finally:
            self._stop.set()
            # what is under way is paid for: it is waited for and kept
            pool.shutdown(wait=True, cancel_futures=True)
        return found

    def _key_of(self, path: str, text: str) -> tuple[str, ...]:
        return (self.address.base_url, self.address.model, path, text)

    def _asked(self, path: str, text: str) -> dict[str, Any]:
        """Ask one request until it is answered, and keep the answer."""
        for tried in range(1, self.limits.tries + 1):
            self._wait_for_turn(len(text))
            why, pause = "", 0.0
            try:
                answer = self._sent(path, {"model": self.address.model, **self._as_named(json.loads(text))})
            except _AgainError as error:
                why, pause = error.why, error.pause
            else:
                self._count_tokens(answer, text)
                kept: dict[str, Any] = {name: answer[name] for name in ("choices", "usage") if name in answer}
                if self._key and self._key.reveal() in json.dumps(kept, ensure_ascii=False):
                    fix = "Do not give it your key again."
                    raise self._refusal("an answer that repeats the key", "an answer", fix)
                if self.store:
                    self.store.put(ENDPOINT_ANSWERS, self._key_of(path, text), json.dumps(kept))
                return kept
            if tried == self.limits.tries:
                break
            if pause > _LONGEST_ASKED_FOR:
                fix = "Start again then: what was answered is kept."
                raise self._refusal(f"{why}; it asks to wait {pause:,.0f} s", "an answer", fix)
            # all of it at random: who failed together does not come back together
            wait_for = pause or random.uniform(0, min(_LONGEST_WAIT, _FIRST_WAIT * 2**tried))
            if pause:
                with self._lock:
                    self._next = max(self._next, time.monotonic() + pause)
            if self._stop.wait(wait_for):
                break
        fix = "Is the address right, and the service up? Start again later: what was answered is kept."
        raise self._refusal(f"{why}, {tried} time{'s' if tried > 1 else ''}", "an answer", fix)

    def _as_named(self, body: dict[str, Any]) -> dict[str, Any]:
        """What is asked, in the words of newer models of OpenAI's where it is one of those."""
        if self._newer and "max_tokens" in body:
            body["max_completion_tokens"] = body.pop("max_tokens")
        return body

    def _wait_for_turn(self, letters: int) -> None:
        """Wait until one more request may be begun, and count it."""
        with self._lock:
            if self.calls >= self.limits.calls:
                raise SpentError(
                    "endpoint", f"{self.calls:,} calls made", f"at most {self.limits.calls:,}",
                    "Allow more calls and start again: what was answered is kept and costs nothing.",
                )  # fmt: skip
            if self.tokens + letters // 4 > self.limits.tokens:
                raise SpentError(
                    "endpoint", f"{self.tokens:,} tokens used, and a next request", f"at most {self.limits.tokens:,}",
                    "Allow more tokens and start again: what was answered is kept and costs nothing.",
                )  # fmt: skip
            self.calls += 1
            now = time.monotonic()
            turn = max(now, self._next)
            self._next = turn + 60.0 / self.limits.a_minute
        if self._stop.wait(turn - now):
            with self._lock:
                self.calls -= 1
            raise self._refusal("a stop", "an answer", "Start again: what was answered is kept.")

    def _count_tokens(self, answer: dict[str, Any], text: str) -> None:
        usage = answer.get("usage")
        told = usage.get("total_tokens") if isinstance(usage, dict) else None
        letters = len(text) + sum(len(json.dumps(choice)) for choice in answer["choices"])
        with self._lock:
            self.tokens += told if isinstance(told, int) and told >= 0 else letters // 4

    def _sent(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Send a request once.

        Raises
        ------
        _AgainError
            It failed in a way that passes.
        InputError
            In one that does not.
        """
        import httpx2

        client = self._client()
        headers = {"Authorization": f"Bearer {self._key.reveal()}"} if self._key else {}
        end = time.monotonic() + self.limits.seconds
        try:
            with client.stream("POST", f"{self.address.base_url}/{path}", json=body, headers=headers) as response:
                content = bytearray()
                for part in response.iter_bytes():
                    content += part
                    if len(content) > _MOST_BYTES:
                        raise self._refusal("an answer of more than 8 MB", "an answer", "Is the address right?")
                    if time.monotonic() > end:
                        raise _AgainError(f"no whole answer within {self.limits.seconds:g} s")
                status, waiting = response.status_code, _retry_after(response.headers.get("retry-after", ""))
        except httpx2.TimeoutException:
            raise _AgainError(f"no answer within {self.limits.seconds:g} s") from None
        except httpx2.TransportError as error:
            # the message alone: what else an exception holds may be the request
            raise _AgainError(f"a connection that failed ({type(error).__name__})") from None
        except httpx2.DecodingError:
            raise _AgainError("an answer that cannot be unpacked") from None
        if status == 200:
            return self._read(bytes(content))
        reason = self._reason(bytes(content))
        if status == 400 and "max_completion_tokens" in reason and "max_tokens" in body:
            self._newer = True
            raise _AgainError("another name for max_tokens")
        if status in _TRY_AGAIN and "insufficient_quota" not in reason:
            raise _AgainError(f"status {status}{reason}", waiting)
        raise self._refused(status, reason)

    def _client(self) -> httpx2.Client:
        with self._lock:
            if self._http is None:
                with needed_by("an endpoint"):
                    import httpx2
                # a redirect is not followed: it would take the key elsewhere
                self._http = httpx2.Client(
                    timeout=httpx2.Timeout(self.limits.seconds, connect=min(10.0, self.limits.seconds)),
                    follow_redirects=False, headers={"User-Agent": "kernelsm"},
                    limits=httpx2.Limits(max_connections=self.limits.at_once),
                )  # fmt: skip
            return self._http

    def _read(self, content: bytes) -> dict[str, Any]:
        try:
            answer = json.loads(content)
        except (ValueError, RecursionError):
            raise _AgainError("an answer that is not whole JSON") from None
        choices = answer.get("choices") if isinstance(answer, dict) else None
        if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
            raise _AgainError("an answer without choices")
        return dict(answer)

    def _reason(self, content: bytes) -> str:
        """What the endpoint says of its refusal, on one line, without the key should it repeat it."""
        try:
            error = json.loads(content).get("error")
            said = f"{error.get('code') or ''} {error.get('message') or ''}" if isinstance(error, dict) else error
        except (ValueError, AttributeError, RecursionError):
            said = ""
        text = " ".join(str(said or "").split())
        if self._key:
            text = without_key(text, self._key)
        return f" ({text[:_LONGEST_REASON]})" if text else ""

    def _refused(self, status: int, reason: str) -> InputError:
        if status in (401, 403):  # what it says may repeat parts of the key
            told = "the key that it was given" if self._key else "that it was given no key"
            fix = "Give the key that belongs to this address. The server's own is told only to addresses it is for."
            return self._refusal(f"a refusal (status {status}) of {told}", "an answer", fix)
        if 300 <= status < 400:
            fix = "Give the address that it leads to; it is not followed, for the key's sake."
            return self._refusal(f"a redirect (status {status})", "an answer", fix)
        if status == 404:
            fix = "Is the address the part before /chat/completions, and the model's name as it is there?"
            return self._refusal(f"status 404{reason}", "an answer", fix)
        fix = "Change what the endpoint does not like, or choose another model."
        return self._refusal(f"status {status}{reason}", "an answer", fix)

    def _refusal(self, found: str, expected: str, fix: str) -> InputError:
        return InputError(f"endpoint {self.address.name!r}", found, expected, fix)


def without_key(text: str, key: Secret) -> str:
    """Return a text with dots in place of each word that holds a key, or eight letters of it in a row.

    Examples
    --------
    >>> without_key("Incorrect key: sk-12345678***, see the docs", Secret("sk-123456789abc"))
    'Incorrect key: ... see the docs'
    """
    whole = key.reveal()
    parts = {whole[i : i + _TELLING] for i in range(max(1, len(whole) - _TELLING + 1))}
    return " ".join("..." if any(part in word for part in parts) else word for word in text.split())


class _AgainError(Exception):
    """A failure that passes: why, and how many seconds the endpoint asks to wait."""

    def __init__(self, why: str, pause: float = 0.0) -> None:
        self.why, self.pause = why, pause
        super().__init__(why)


def _retry_after(text: str) -> float:
    """Seconds that a Retry-After header asks for, as a number or a date; 0 where it asks for none."""
    text = text.strip()
    try:
        return max(0.0, float(text)) if text.replace(".", "", 1).isdigit() else max(0.0, _until(text))
    except (ValueError, TypeError):
        return 0.0


def _until(date: str) -> float:
    return email.utils.parsedate_to_datetime(date).timestamp() - time.time()
