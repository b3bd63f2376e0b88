from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernelsm.app.shell.view import GAMMAS, PROJECTIONS, PULLS, RIDGES, SAMPLERS, ViewState
from kernelsm.app.shell.view import METHODS as KNOWN_METHODS
from kernelsm.app.shell.words import PROJECTION_NAMES, SAMPLER_NAMES, plain
from kernelsm.attributors.catalog import METHODS
from kernelsm.charts.interactions import clicked_pair
from kernelsm.gradients import choices
from kernelsm.outcomes.designs import DESIGNS
from kernelsm.prompts.method_catalog import PROMPT_METHODS
from kernelsm.workspace.kept import Kept
from kernelsm.workspace.kept_kinds import KEPT_KINDS

PINS = (
    "run=planted&kernel=linear",
    "run=digits&target=a+%26+b%7Cc%3D-&readout=shapley",
    "run=0123456789abcdef0123456789abcdef01234567&kernel=rbf&gamma=0.02&ridge=0.5",
)
views = st.builds(
    ViewState,
    run=st.sampled_from(["digits", "modular-addition", "sentiment", "0123456789abcdef0123456789abcdef01234567"]),
    target=st.text(min_size=0, max_size=20),
    kernel=st.sampled_from(["rbf", "poly", "linear"]),
    gamma=st.none() | st.sampled_from(GAMMAS),
    ridge=st.sampled_from(RIDGES),
    focus=st.none() | st.sampled_from([(0, 1), (3, 12)]),
    off=st.lists(st.integers(0, 499), unique=True).map(lambda found: tuple(sorted(found))),
    truth=st.booleans(),
    subsets=st.integers(3, 5_000),
    size=st.none() | st.integers(1, 500),
    sampler=st.sampled_from(SAMPLERS),
    estimator=st.sampled_from(["gradex", "retraining"]),
    projection=st.sampled_from(PROJECTIONS),
    dim=st.integers(2, 4096),
    pull=st.none() | st.sampled_from(PULLS),
    project=st.sampled_from(["", "fedcba9876543210fedcba9876543210fedcba98"]),
    prompts=st.sampled_from(["", "fedcba9876543210fedcba9876543210fedcba98"]),
    cost=st.sampled_from(["", "samples"]),
    price=st.sampled_from([0.0, 0.001, 2.5]),
    confirmed=st.sampled_from(["", "fedcba9876543210fedcba9876543210fedcba98"]),
    claim=st.sampled_from(["", "figure1", "table8"]),
    methods=st.sampled_from([(), ("default",), ("linear", "influence_cg"), ("prompt_trak",)]),
    beside=st.sampled_from([(), ("default", "linear"), ("trak", "trak")]),
    scaled=st.booleans(),
    compared=st.sampled_from(["methods", "views"]),
    pins=st.lists(st.sampled_from(PINS), unique=True).map(tuple),
    first=st.sampled_from(["", *PINS]),
    second=st.sampled_from(["", *PINS]),
    lesson=st.integers(0, 99),
    mode=st.sampled_from(["", "open", "class"]),
    guess=st.none() | st.integers(0, 999),
    at=st.integers(0, 99),
    answered=st.lists(st.integers(1, 20), unique=True).map(lambda found: tuple(sorted(found))),
    used=st.none() | st.integers(30, 5_000),
)


@given(views)
def test_a_link_restores_the_view(view: ViewState) -> None:
    assert ViewState.from_params(view.to_params()) == (view, [])


def test_a_plain_view_needs_no_parameters() -> None:
    assert ViewState().to_params() == {}


@given(
    st.dictionaries(
        st.text("abcxyz_-. ", max_size=12) | st.sampled_from(sorted(ViewState().__dict__)), st.text(max_size=30)
    )
)
def test_any_parameters_give_a_view_and_name_what_was_ignored(params: dict[str, str]) -> None:
    view, ignored = ViewState.from_params(params)
    understood = set(params) - {text.split("=")[0] for text in ignored}
    assert understood <= set(vars(view))


def test_views_and_settings_know_the_same_projections() -> None:
    assert ("auto", *choices.OF_RUNS) == PROJECTIONS
    assert set(PROJECTIONS) == set(PROJECTION_NAMES)


def test_views_and_the_catalogs_know_the_same_methods() -> None:
    assert (*METHODS, *PROMPT_METHODS) == KNOWN_METHODS


def test_views_and_settings_know_the_same_designs() -> None:
    assert set(SAMPLERS) == {*DESIGNS, "auto", "next"}
    # random subsets have one name, with or without repeats
    assert set(SAMPLERS) == {*SAMPLER_NAMES, "distinct"}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("gamma", "nan"), ("gamma", "-1"), ("focus", "3-3"), ("off", "1--2"), ("run", "../../etc"),
        ("subsets", "1e9"), ("projection", "dense"), ("projection", "EXACT"), ("dim", "1"), ("dim", "4097"),
        ("dim", "512.0"), ("estimator", "game"), ("pull", "0"), ("pull", "nan"), ("pull", "1e5"),
        ("cost", "own"), ("price", "-1"), ("price", "inf"), ("confirmed", "digits"), ("claim", "table6"),
        ("methods", "shap"), ("methods", "linear-linear"), ("methods", ""), ("beside", "linear"), ("scaled", "2"),
        ("beside", "linear-default-trak"),
        ("pins", "run=digits|"), ("pins", "run=digits|run=digits"), ("pins", "kernel=linear"),
        ("first", "run=digits&off=3"),
        ("second", "run=../../x"), ("first", "run=digits&run=planted"), ("second", "run=digits&target=" + "x" * 600),
        ("pins", "|".join(f"run=digits&kernel=linear&ridge={ridge}" for ridge in range(1, 8))), ("compared", "all"),
        ("project", "digits"), ("project", "0" * 39), ("project", "0" * 39 + "G"), ("project", "../" * 13 + "x"),
    ],
)  # fmt: skip
def test_values_out_of_range_are_ignored(name: str, text: str) -> None:
    view, ignored = ViewState.from_params({name: text})
    assert view == ViewState()
    assert ignored == [f"{name}={text}"[:60]]


@given(views)
def test_a_pin_holds_run_target_surrogate_and_readout_and_nothing_else(view: ViewState) -> None:
    turned = ViewState(off=(1,), lesson=3).pinned(view.pin)
    assert (turned.run, turned.target, turned.surrogate, turned.readout) == (
        view.run, view.target, view.surrogate, view.readout,
    )  # fmt: skip
    assert (turned.off, turned.lesson) == ((1,), 3)
    assert turned.pin == view.pin
    assert ViewState.from_params({"pins": view.pin}) == (ViewState(pins=(view.pin,)), [])


def test_what_a_run_does_not_have_is_dropped() -> None:
    view = ViewState(target="gone", focus=(2, 9), off=(1, 8), picked=(1, 3))
    kept = view.within(("loss",), 5)
    assert kept == ViewState(off=(1,))
    assert view.lost(kept) == ["target=gone", "focus=2-9", "off=8", "picked=1-3"]


def test_another_run_takes_neither_the_project_nor_its_pull_along() -> None:
    view = ViewState(pull=0.3, project="0" * 40, subsets=77, cost="samples", price=0.1, confirmed="1" * 40)
    assert view.on_run("planted") == ViewState(run="planted", subsets=77)


@pytest.mark.parametrize(
    ("selection", "pair"),
    [
        ({"points": [{"customdata": [4, 1]}]}, (1, 4)),
        ({"points": [{"customdata": {"0": 2, "1": 3}}]}, (2, 3)),
        ({"points": []}, None),
        ({}, None),
        ({"points": [{"customdata": [4, 4]}]}, None),
        ({"points": [{"customdata": [0, 99]}]}, None),
        ({"points": [{"x": 1}]}, None),
    ],
)
def test_a_click_names_its_pair_and_anything_else_is_ignored(selection: dict, pair: tuple[int, int] | None) -> None:
    assert clicked_pair(selection, K=5) == pair


def test_names_lose_their_markdown_meaning() -> None:
    assert plain("*a* [b](c) $d$") == r"\*a\* \[b\]\(c\) \$d\$"


@pytest.mark.parametrize("kind", KEPT_KINDS, ids=lambda kind: kind.name)
def test_every_kind_of_what_is_kept_is_opened_and_closed(kind: Kept[Any]) -> None:
    busy = ViewState(project="1" * 40, prompts="2" * 40, picked=(1, 0), size=3, pull=0.5, target="x")
    opened = busy.opened(kind.parameter, "3" * 40)
    assert getattr(opened, kind.parameter) == "3" * 40
    assert ViewState.from_params(opened.to_params()) == (opened, [])
    closed = opened.closed(kind.parameter)
    assert getattr(closed, kind.parameter) == getattr(ViewState(), kind.parameter)
    others = {"project", "prompts"} - {kind.parameter} if kind.parameter != "run" else set()
    assert all(getattr(closed, other) == getattr(busy, other) for other in others)


def test_a_project_is_closed_without_a_change_to_what_is_computed_next() -> None:
    view = ViewState(project="1" * 40, size=3, pull=0.5, estimator="retraining")
    assert view.closed("project") == ViewState(size=3, pull=0.5, estimator="retraining")


def test_what_names_nothing_that_is_kept_is_not_opened() -> None:
    for call in (lambda: ViewState().opened("gamma", "x"), lambda: ViewState().closed("gamma")):
        with pytest.raises(ValueError, match="gamma"):
            call()
