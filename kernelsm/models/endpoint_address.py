"""Where a model answers over the network in OpenAI's format: its address, who may use it, which key it is told."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Literal, get_args
from urllib.parse import SplitResult, urlsplit

from kernelsm.models.model_folders import local_models_allowed
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.secret_keys import Secret, handed

Api = Literal["chat", "completions"]
ALLOW_ENDPOINTS = "KERNELSM_ALLOW_ENDPOINTS"
OWN_KEY, OPENAI_KEY = "KERNELSM_API_KEY", "OPENAI_API_KEY"
OPENAI = "https://api.openai.com/v1"
_EXAMPLE = "https://api.openai.com/v1"
_LONGEST = 300


@dataclass(frozen=True)
class EndpointAddress:
    """A model behind an OpenAI-compatible endpoint. There is no key in it: it may stand in files and links.

    Parameters
    ----------
    base_url : str
        Up to the part before `/chat/completions`, such as https://api.openai.com/v1.
    model : str
        Its name there.
    api : {"chat", "completions"}
        What it is asked by. A base model that continues text has completions only.
    probabilities : bool
        Whether it is asked for log-probabilities: of completions those of the prompt itself ("echo"), which score
        label words and reference answers exactly; of chat the 20 most probable tokens. Else answers are graded.

    Raises
    ------
    InputError
        Another address than http or https, one with a user name, password, query or fragment in it, or no model.

    Examples
    --------
    >>> address = EndpointAddress("https://api.openai.com/v1/", "gpt-4o-mini")
    >>> address.text
    'https://api.openai.com/v1?api=chat&logprobs=yes#gpt-4o-mini'
    >>> EndpointAddress.of_text(address.text) == address
    True
    """

    base_url: str
    model: str
    api: Api = "chat"
    probabilities: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "base_url", _checked_url(self.base_url))
        object.__setattr__(self, "model", self.model.strip())
        if not self.model or not self.model.isprintable() or len(self.model) > _LONGEST:
            raise InputError(
                "endpoint, model", repr(self.model)[:80], "its name on the endpoint", "Write it as there."
            )
        if self.api not in get_args(Api):
            raise InputError("endpoint, api", repr(self.api)[:40], "chat or completions", "Choose one of these.")

    @property
    def text(self) -> str:
        """One line that `of_text` reads."""
        logprobs = "yes" if self.probabilities else "no"
        return f"{self.base_url}?api={self.api}&logprobs={logprobs}#{self.model}"

    @property
    def name(self) -> str:
        """For people: the model and the host."""
        return f"{self.model} at {urlsplit(self.base_url).netloc}"

    @classmethod
    def of_text(cls, text: str) -> EndpointAddress:
        """Read what `text` wrote.

        Raises
        ------
        InputError
            It is not one.
        """
        before, _, model = text.partition("#")
        base_url, _, query = before.partition("?")
        settings = dict(part.partition("=")[::2] for part in query.split("&") if part)
        if set(settings) - {"api", "logprobs"} or settings.get("logprobs", "yes") not in ("yes", "no"):
            # what else stands there is not repeated: it may be a key
            expected = "at most ?api=chat or completions and &logprobs=yes or no"
            raise InputError("endpoint", "other settings in the address", expected, "Leave them out.")
        api: Api = "completions" if settings.get("api") == "completions" else "chat"
        return cls(base_url, model, api, settings.get("logprobs", "yes") == "yes")


def is_endpoint(model: str) -> bool:
    """Whether the name of a model is the address of an endpoint."""
    return model.strip().lower().startswith(("http://", "https://"))


def allowed_endpoints() -> tuple[str, ...]:
    """Addresses that the deployment names in KERNELSM_ALLOW_ENDPOINTS, with spaces between them.

    Raises
    ------
    InputError
        One of them is not an address.
    """
    return tuple(_checked_url(part) for part in os.environ.get(ALLOW_ENDPOINTS, "").replace(",", " ").split())


def endpoints_may_be_typed() -> bool:
    """Whether any address may be given: where paths may, on one's own computer, and no list says otherwise."""
    return local_models_allowed() and not allowed_endpoints()


def check_endpoint_allowed(address: EndpointAddress) -> None:
    """Refuse an endpoint that the server is not to speak to: a request from here reaches what strangers cannot.

    Raises
    ------
    InputError
        It is not in KERNELSM_ALLOW_ENDPOINTS; where that is not set, KERNELSM_ALLOW_PATHS is not 1.
    """
    if endpoints_may_be_typed() or address.base_url in allowed_endpoints():
        return
    listed = ", ".join(allowed_endpoints())
    fix = (
        f"Start the app with {ALLOW_ENDPOINTS}={address.base_url}, or on your own computer with "
        "KERNELSM_ALLOW_PATHS=1."
    )
    expected = f"one of those allowed here ({listed})" if listed else "the default model: no endpoint is allowed here"
    raise InputError("endpoint", repr(address.base_url), expected, fix)


def key_for(address: EndpointAddress) -> Secret | None:
    """Return the key that an endpoint is told; None for an endpoint that wants none.

    It is the one that was typed for this address, else the server's own: KERNELSM_API_KEY for addresses in
    KERNELSM_ALLOW_ENDPOINTS and that in OPENAI_BASE_URL, OPENAI_API_KEY for OpenAI's own and that in OPENAI_BASE_URL.
    Other addresses never get to see a key of the server: anybody may have written them into a file.
    """
    if typed := handed(address.base_url):
        return typed
    own = {OPENAI} if not os.environ.get("OPENAI_BASE_URL") else {_checked_url(os.environ["OPENAI_BASE_URL"])}
    for variable, addresses in ((OWN_KEY, {*allowed_endpoints(), *own}), (OPENAI_KEY, own)):
        if address.base_url in addresses and (key := os.environ.get(variable, "").strip()):
            return Secret(key)
    return None


def _checked_url(url: str) -> str:
    """Return an address in one spelling."""
    url = url.strip()
    expected, fix = f"an address such as {_EXAMPLE}", "Copy it from the service's documentation."
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise InputError("endpoint", "an address that cannot be read", expected, fix) from None
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        # not repeated: it may hold a key
        found = "an address with more in it than a host and a path"
        raise InputError("endpoint", found, expected, "Give the key in its own field, never in the address.")
    if parts.scheme.lower() not in ("http", "https") or not parts.hostname or not url.isprintable() or " " in url:
        raise InputError("endpoint", repr(url)[:80], expected, fix)
    if len(url) > _LONGEST:
        raise InputError("endpoint", f"{len(url):,} characters", f"at most {_LONGEST}", fix)
    return _spelled(parts, port)


def _spelled(parts: SplitResult, port: int | None) -> str:
    host = f"[{parts.hostname}]" if parts.hostname and ":" in parts.hostname else parts.hostname
    shown = "" if port in (None, {"http": 80, "https": 443}[parts.scheme.lower()]) else f":{port}"
    return f"{parts.scheme.lower()}://{host}{shown}{parts.path.rstrip('/')}"
