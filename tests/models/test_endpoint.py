"""An endpoint that fails in every way that they do, what is spent, and where the key is."""

import email.utils
import pickle
import time

import pytest
from faulty_endpoint import Faulty, chat_answer, served

from kernelsm import InputError, Store
from kernelsm.models import endpoint as module
from kernelsm.models.endpoint import Endpoint, EndpointLimits, SpentError
from kernelsm.models.endpoint_address import EndpointAddress, check_endpoint_allowed, is_endpoint, key_for
from kernelsm.runtime.secret_keys import Secret

KEY = "sk-never-written-4711"
BODY = {"messages": [{"role": "user", "content": "a"}], "temperature": 0}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(module, "_FIRST_WAIT", 0.01)
    for name in ("KERNELSM_API_KEY", "OPENAI_API_KEY", "OPENAI_BASE_URL", "KERNELSM_ALLOW_ENDPOINTS"):
        monkeypatch.delenv(name, raising=False)


def opened(faulty, store=None, key=None, **limits):
    limits = EndpointLimits(**{"a_minute": 60_000, "seconds": 20.0, **limits})
    return Endpoint(EndpointAddress(f"{faulty.url}/v1", "m"), store, limits, key)


def bodies(count):
    return [{"messages": [{"role": "user", "content": f"number {i}"}]} for i in range(count)]


def said(answers):
    return [answer["choices"][0]["message"]["content"] for answer in answers]


@pytest.mark.parametrize("fault", ["500", "json", "half", "cut"])
def test_what_passes_is_tried_again(fault):
    with served(Faulty(script=[fault, fault])) as faulty:
        endpoint = opened(faulty)
        assert said(endpoint.all("chat/completions", [BODY])) == ["yes"]
        assert endpoint.calls == len(faulty.bodies) == 3
        assert faulty.bodies[0] == {"model": "m", **BODY}
        assert faulty.paths == ["/v1/chat/completions"] * 3


def test_an_answer_that_takes_too_long_is_asked_for_again():
    with served(Faulty(script=["slow"])) as faulty:
        assert said(opened(faulty, seconds=0.5).all("chat/completions", [BODY])) == ["yes"]
        assert len(faulty.bodies) == 2


def test_an_answer_that_trickles_is_not_waited_for():
    def trickle(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        for _ in range(100):
            time.sleep(0.1)
            handler.wfile.write(b" ")
        raise AssertionError("it was waited for")

    with served(Faulty(script=[trickle])) as faulty:
        began = time.monotonic()
        assert said(opened(faulty, seconds=0.5).all("chat/completions", [BODY])) == ["yes"]
        assert time.monotonic() - began < 5


@pytest.mark.parametrize("how", ["seconds", "date"])
def test_an_endpoint_that_asks_to_wait_is_waited_for(how):
    def later(_):
        date = email.utils.formatdate(time.time() + 2, usegmt=True)
        return 429, {"Retry-After": "1" if how == "seconds" else date}, {"error": {"message": "slow down"}}

    with served(Faulty(script=[later])) as faulty:
        assert said(opened(faulty).all("chat/completions", [BODY])) == ["yes"]
        # a date has whole seconds: two from now are more than one away
        assert faulty.times[1] - faulty.times[0] > 0.9


def test_an_endpoint_without_room_today_is_not_waited_for():
    with served(Faulty(script=[lambda _: (429, {"Retry-After": "86400"}, {})])) as faulty:
        with pytest.raises(InputError, match="asks to wait 86,400 s"):
            opened(faulty).all("chat/completions", [BODY])
        assert len(faulty.bodies) == 1


def test_tries_come_to_an_end():
    with served(Faulty(script=["500"] * 9)) as faulty:
        with pytest.raises(InputError, match=r"status 500 \(oops\), 3 times"):
            opened(faulty, tries=3).all("chat/completions", [BODY])
        assert len(faulty.bodies) == 3


@pytest.mark.parametrize(
    ("status", "error", "match"),
    [
        (401, {"message": f"Incorrect API key provided: {KEY}"}, "refusal .status 401. of the key that it was given"),
        (400, {"message": f"bad request of {KEY}"}, "bad request of ..."),
        (404, {"message": "no such model"}, "no such model"),
        (429, {"message": "pay first", "code": "insufficient_quota"}, "insufficient_quota pay first"),
    ],
)
def test_what_does_not_pass_is_said_at_once_and_without_the_key(status, error, match):
    with served(Faulty(script=[lambda _: (status, {}, {"error": error})] * 2)) as faulty:
        with pytest.raises(InputError, match=match) as caught:
            opened(faulty, key=Secret(KEY)).all("chat/completions", [BODY])
        assert len(faulty.bodies) == 1
        assert KEY not in str(caught.value)
        assert faulty.keys == [f"Bearer {KEY}"]


def test_an_answer_that_repeats_the_key_is_not_kept():
    store = Store()
    with served(Faulty(lambda _: chat_answer(f"you said {KEY}"))) as faulty:
        with pytest.raises(InputError, match="an answer that repeats the key") as caught:
            opened(faulty, store, key=Secret(KEY)).all("chat/completions", [BODY])
        assert KEY not in str(caught.value)
    assert not store.entries()


def test_newer_models_are_asked_in_their_own_words():
    message = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."
    with served(Faulty(script=[lambda _: (400, {}, {"error": {"message": message}})])) as faulty:
        store = Store()
        opened(faulty, store, at_once=1).all("chat/completions", [{**body, "max_tokens": 3} for body in bodies(2)])
        assert [body.get("max_completion_tokens") for body in faulty.bodies] == [None, 3, 3]
        assert [body.get("max_tokens") for body in faulty.bodies] == [3, None, None]
        again = opened(faulty, store)
        again.all("chat/completions", [{**body, "max_tokens": 3} for body in bodies(2)])
        assert again.calls == 0


def test_a_redirect_is_not_followed():
    with served(Faulty(script=["redirect"])) as faulty:
        with pytest.raises(InputError, match="a redirect"):
            opened(faulty, key=Secret(KEY)).all("chat/completions", [BODY])
        assert len(faulty.bodies) == 1


def test_nobody_at_the_address_is_an_error_of_the_address():
    with served(Faulty()) as faulty:
        gone = opened(faulty, tries=2)
    with pytest.raises(InputError, match=r"a connection that failed .*, 2 times"):
        gone.all("chat/completions", [BODY])


def test_nothing_is_asked_twice():
    store = Store()
    with served(Faulty(lambda body: chat_answer(body["messages"][0]["content"]))) as faulty:
        asked = [*bodies(5), *bodies(3)]
        first = opened(faulty, store)
        answers = said(first.all("chat/completions", asked))
        assert answers == [body["messages"][0]["content"] for body in asked]
        assert len(faulty.bodies) == first.calls == 5
        again = opened(faulty, store)
        assert said(again.all("chat/completions", bodies(6))) == [f"number {i}" for i in range(6)]
        assert (again.calls, again.reused) == (1, 5)
        other = Endpoint(EndpointAddress(f"{faulty.url}/v1", "another"), store)
        other.all("chat/completions", bodies(1))
        assert other.calls == 1


def test_what_was_answered_before_a_failure_is_kept():
    store, answered = Store(), []

    def answer(body):
        answered.append(body)
        return chat_answer("yes")

    refusal = [lambda _: (400, {}, {"error": "no"})]
    with served(Faulty(answer, script=[None, None, None, *refusal])) as faulty:
        with pytest.raises(InputError, match="status 400"):
            opened(faulty, store, at_once=1).all("chat/completions", bodies(8))
        before = len(answered)  # one more may have been begun when the refusal came
        assert before in (3, 4)
        endpoint = opened(faulty, store, at_once=1)
        endpoint.all("chat/completions", bodies(8))
        assert endpoint.reused == before
        assert sorted(body["messages"][0]["content"] for body in answered) == [f"number {i}" for i in range(8)]


def test_calls_and_tokens_are_capped():
    store = Store()
    with served(Faulty()) as faulty:
        with pytest.raises(SpentError, match="5 calls made; expected at most 5"):
            opened(faulty, store, calls=5).all("chat/completions", bodies(9))
        assert len(faulty.bodies) == 5
        opened(faulty, store, calls=4).all("chat/completions", bodies(9))
        assert len(faulty.bodies) == 9
    # failures count: some are paid for
    with served(Faulty(script=["500"] * 2)) as faulty, pytest.raises(SpentError):
        opened(faulty, calls=2).all("chat/completions", [BODY])
    with served(Faulty(lambda body: chat_answer("yes", tokens=100))) as faulty:
        endpoint = opened(faulty, tokens=250, at_once=1)
        with pytest.raises(SpentError, match="tokens"):
            endpoint.all("chat/completions", bodies(9))
        assert endpoint.tokens == 300
        assert len(faulty.bodies) == 3


def test_several_are_asked_at_once_and_no_more():
    with served(Faulty(pause=0.2)) as faulty:
        opened(faulty, at_once=3).all("chat/completions", bodies(9))
        assert 1 < faulty.most_at_once <= 3


def test_no_more_are_begun_in_a_minute_than_may_be():
    with served(Faulty()) as faulty:
        began = time.monotonic()
        opened(faulty, a_minute=300).all("chat/completions", bodies(5))
        assert time.monotonic() - began > 0.79  # a fifth of a second apart


@pytest.mark.parametrize(
    "limits", [{"calls": 0}, {"tokens": -1}, {"a_minute": 0}, {"at_once": 65}, {"tries": 0}, {"seconds": 0}]
)
def test_limits_are_checked(limits):
    with pytest.raises(InputError, match=next(iter(limits))):
        EndpointLimits(**limits)


@pytest.mark.parametrize(
    "url",
    ["ftp://a/v1", "https://", "https://a b/v1", "nothing", "https://a:x/v1", "https://h/v1#x", "http://h?key=1"],
)
def test_other_addresses_are_refused(url):
    with pytest.raises(InputError, match="endpoint"):
        EndpointAddress(url, "m")


def test_an_address_with_a_key_in_it_is_refused_and_not_repeated():
    for url in (f"https://me:{KEY}@host/v1", f"https://host/v1?api-key={KEY}"):
        with pytest.raises(InputError) as caught:
            EndpointAddress(url, "m")
        assert KEY not in str(caught.value)
    with pytest.raises(InputError) as caught:
        EndpointAddress.of_text(f"https://host/v1?api-key={KEY}#m")
    assert KEY not in str(caught.value)


def test_an_address_has_one_spelling():
    one = EndpointAddress("HTTPS://API.Example.org:443/v1/", "org/model", "completions", probabilities=False)
    assert one.base_url == "https://api.example.org/v1"
    assert EndpointAddress.of_text(one.text) == one
    assert is_endpoint(one.text)
    assert not is_endpoint("org/model")
    assert EndpointAddress("http://[::1]:8000", "m").base_url == "http://[::1]:8000"


def test_only_what_the_deployment_allows_is_asked(monkeypatch):
    address = EndpointAddress("http://127.0.0.1:8000/v1", "m")
    monkeypatch.delenv("KERNELSM_ALLOW_PATHS", raising=False)
    with pytest.raises(InputError, match=r"no endpoint is allowed here.*KERNELSM_ALLOW_ENDPOINTS=http"):
        check_endpoint_allowed(address)
    monkeypatch.setenv("KERNELSM_ALLOW_PATHS", "1")
    check_endpoint_allowed(address)
    monkeypatch.setenv("KERNELSM_ALLOW_ENDPOINTS", "https://api.openai.com/v1/, http://127.0.0.1:8000/v1")
    check_endpoint_allowed(address)
    for url in ("http://127.0.0.1:8000/v1/x", "http://127.0.0.1:8001/v1", "http://127.0.0.1:8000", "http://evil/v1"):
        with pytest.raises(InputError, match="one of those allowed here"):
            check_endpoint_allowed(EndpointAddress(url, "m"))
    monkeypatch.delenv("KERNELSM_ALLOW_PATHS")
    check_endpoint_allowed(address)


def test_the_servers_own_key_is_told_only_to_addresses_it_is_for(monkeypatch):
    openai, ours, other = (
        EndpointAddress(url, "m") for url in ("https://api.openai.com/v1", "http://ours/v1", "https://other.org/v1")
    )
    monkeypatch.setenv("KERNELSM_ALLOW_PATHS", "1")
    monkeypatch.setenv("OPENAI_API_KEY", "for openai")
    assert key_for(openai).reveal() == "for openai"
    assert key_for(ours) is key_for(other) is None
    monkeypatch.setenv("KERNELSM_API_KEY", "own")
    assert key_for(other) is None
    monkeypatch.setenv("KERNELSM_ALLOW_ENDPOINTS", "http://ours/v1")
    assert key_for(ours).reveal() == "own"
    assert key_for(other) is None
    monkeypatch.setenv("OPENAI_BASE_URL", "https://other.org/v1/")
    monkeypatch.delenv("KERNELSM_API_KEY")
    assert key_for(other).reveal() == "for openai"
    assert key_for(openai) is None


def test_a_key_shows_itself_nowhere():
    secret = Secret(KEY)
    assert KEY not in f"{secret!r} {secret} {[secret]}"
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    with served(Faulty()) as faulty:
        endpoint = opened(faulty, key=secret)
        assert KEY not in repr(vars(endpoint))
        with pytest.raises(TypeError):
            pickle.dumps(endpoint)
