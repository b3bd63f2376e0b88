"""Widgets bound to the view: each shows its field and, when moved, changes it before the page is drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import streamlit as st

from kernelsm.app.shell import session, words
from kernelsm.app.shell.open_runs import Run, shown_readout
from kernelsm.app.shell.view import GAMMAS, KERNELS, MODEL_ESTIMATORS, PROJECTIONS, PULLS, READOUTS, RIDGES, USED
from kernelsm.charts.attribution import MOST_BARS
from kernelsm.estimators.recipe import Recipe
from kernelsm.outcomes.designs import MOST_TASKS_AFFORDED
from kernelsm.outcomes.names import natural_order
from kernelsm.pipelines.run_settings import offered_projections, resolved_projection
from kernelsm.surrogates.reading import MEAN_TARGET
from kernelsm.tasks.suite import NEXT_TOKENS

_UNSET = object()
_PAGE = "kernelsm_page"


def turn_to(page: str) -> None:
    """Call before a page is drawn: the browser forgets widgets of other pages, so their values must be sent again."""
    if st.session_state.get(_PAGE) != page:
        st.session_state[_PAGE] = page
        for key in [key for key in st.session_state if str(key).startswith(_key(""))]:
            del st.session_state[key]


def page() -> str:
    """Path of the page that is shown; "" for the first."""
    shown: str = st.session_state.get(_PAGE, "")
    return shown


def _key(field: str) -> str:
    return f"view_{field}"


def _take(field: str, read: Callable[[Any], Any]) -> None:
    _hand(field, lambda value: session.update(**{field: read(value)}))


def _hand(field: str, take: Callable[[Any], None]) -> None:
    """Hand on what a widget was set to; one of a page that was left meanwhile is known no more."""
    if _key(field) in st.session_state:
        take(st.session_state[_key(field)])


def _bind(
    field: str,
    shown: Any,
    read: Callable[[Any], Any] = lambda value: value,
    *,
    first: str = "value",
    index: int | None = None,
) -> dict[str, Any]:
    """Keyword arguments that tie a widget to a field of the view; `shown` is what it displays now.

    `first` names the widget's argument for what it displays first; where that is the `index` of an option, give it.
    """
    _show(field, shown)
    start = {first: shown} if index is None else {"index": index}
    return {"key": _key(field), "on_change": _take, "args": (field, read), **start}


def bound(
    field: str, shown: Any, take: Callable[[Any], None], *, first: str = "value", index: int | None = None
) -> dict[str, Any]:
    """Keyword arguments of a widget that displays `shown` and hands what is chosen to `take`, before a page is drawn.

    `field` names the widget; `first` and `index` are as of a field of the view.
    """
    _show(field, shown)
    start = {first: shown} if index is None else {"index": index}
    return {"key": _key(field), "on_change": _hand, "args": (field, take), **start}


def _show(field: str, shown: Any) -> None:
    """Have a widget display a value.

    The widget needs it as its default too: a browser that has not loaded the widget's code yet draws it by the next
    run's message, which says nothing of values that were set before.
    """
    # a value set anew is sent anew, and every pill drawn again: only what differs is set
    if st.session_state.get(_key(field), _UNSET) != shown:
        st.session_state[_key(field)] = shown


def target_picker(run: Run) -> None:
    """Choose what is measured."""
    if run.outcomes.q == 1:
        return
    names, shown = run.outcomes.target_names, session.view().target
    options = ["", *(names[j] for j in _listed(names))]
    by_size = run.outcomes.target_weights is not None
    st.selectbox(
        "Target", options, width=180, format_func=lambda name: name or MEAN_TARGET, help=words.TARGET_HELP[by_size],
        **_bind("target", shown, index=options.index(shown)),
    )  # fmt: skip


def kernel_picker() -> None:
    """Choose the surrogate."""
    st.segmented_control(
        "Surrogate", KERNELS, format_func=words.KERNEL_NAMES.__getitem__, required=True,
        help=words.KERNEL_HELP, **_bind("kernel", session.view().kernel, first="default"),
    )  # fmt: skip


def gamma_slider(K: int) -> None:
    """Choose γ on a logarithmic scale that contains 1/K."""
    view = session.view()
    default = 1.0 / K
    current = default if view.gamma is None else view.gamma
    st.select_slider(
        "γ (1 / kernel width)", gamma_stops(K, view.gamma), help=words.GAMMA_HELP,
        disabled=view.kernel in ("auto", "linear"),
        format_func=lambda value: f"{value:.4g}" + (" = 1/K" if value == default else ""),
        **_bind("gamma", current, lambda value: None if value == default else value),
    )  # fmt: skip


def gamma_stops(K: int, gamma: float | None) -> list[float]:
    """Stops of the slider of γ: 1/K and the γ at hand are among them."""
    return _grid(GAMMAS, 1.0 / K, 1.0 / K if gamma is None else gamma)


def ridge_stops(ridge: float) -> list[float]:
    """Stops of the slider of the ridge, the one at hand among them."""
    return _grid(RIDGES, ridge)


def ridge_slider() -> None:
    """Choose the surrogate's ridge on a logarithmic scale."""
    current = session.view().ridge
    st.select_slider(
        "Ridge", ridge_stops(current), format_func=lambda value: f"{value:.4g}", help=words.RIDGE_HELP,
        disabled=session.view().kernel == "auto", **_bind("ridge", current),
    )  # fmt: skip


def used_stops(m: int, used: int | None) -> list[int]:
    """Numbers of subsets to choose from out of m, the first ones each; only m itself where there are too few."""
    return sorted({*(count for count in USED if count < m), m, *([used] if used is not None and used < m else [])})


def used_slider(run: Run, *, width: int | Literal["stretch"] = "stretch") -> None:
    """Choose how many of the run's subsets are fitted; nothing where there are too few to choose from."""
    m, used = run.m, session.view().used
    stops = used_stops(m, used)
    if len(stops) < 2:
        return
    st.select_slider(
        "Subsets used", stops, format_func=lambda count: f"all {m:,}" if count == m else f"{count:,}",
        help=words.USED_HELP, width=width,
        **_bind("used", m if used is None else used, lambda count: None if count == m else count),
    )  # fmt: skip


def why_sliders_rest() -> None:
    """Say why a slider of the surrogate cannot be moved, where one cannot."""
    if why := words.WHY_SLIDERS_REST.get(session.view().kernel):
        st.caption(why)


def readout_picker(run: Run) -> None:
    """Choose what is read off."""
    st.segmented_control(
        "Readout", READOUTS, format_func=words.READOUT_NAMES.__getitem__, required=True, help=words.READOUT_HELP,
        **_bind("readout", shown_readout(run, session.view().readout), first="default"),
    )  # fmt: skip


def readout_warning(run: Run) -> None:
    """Say where the readout chosen asks for subsets unlike those measured."""
    kind = shown_readout(run, session.view().readout)
    if run.fixed_size and kind != "inclusion":
        st.warning(
            f"Every subset here holds {run.fixed_size} tasks. {words.READOUT_NAMES[kind]} asks for subsets of other "
            "sizes, far from anything measured: Inclusion stays with the data.",
            icon=":material/warning:",
        )


def order_picker() -> None:
    """Choose the order of tasks."""
    names, shown = list(words.ORDER_NAMES), session.view().order
    st.selectbox(
        "Order of tasks", names, format_func=words.ORDER_NAMES.__getitem__, width=140,
        help="By name puts site_2 before site_10. Clustered puts tasks that interact alike side by side.",
        **_bind("order", shown, index=names.index(shown)),
    )  # fmt: skip


def tested_picker(options: Mapping[str, str]) -> None:
    """Choose what Fit tests on."""
    tested = session.view().tested
    names = list(options)
    st.radio(
        "Test on", names, format_func=options.__getitem__, horizontal=True,
        **_bind("tested", tested, index=names.index(tested)),
    )  # fmt: skip


def truth_toggle() -> None:
    """Draw the known truth beside the estimate."""
    st.toggle("Draw the truth", help="This game's true effects are known.", **_bind("truth", session.view().truth))


def pair_pickers(names: Sequence[str], focus: tuple[int, int]) -> None:
    """Choose the focus pair by keyboard."""
    first, second = st.columns(2)
    for column, position, label in ((first, 0, "First task"), (second, 1, "Second task")):
        field = f"focus{position}"
        _show(field, focus[position])
        options = _listed(names)
        column.selectbox(
            label,
            options,
            options.index(focus[position]),
            format_func=names.__getitem__,
            key=_key(field),
            on_change=_take_pair,
            args=(position,),
        )


def _take_pair(position: int) -> None:
    chosen = [st.session_state[_key("focus0")], st.session_state[_key("focus1")]]
    if chosen[0] == chosen[1]:
        return  # a task does not interact with itself: the pickers fall back to the pair shown
    session.update(focus=(min(chosen), max(chosen)))


def task_pills(names: Sequence[str]) -> None:
    """Toggle tasks in and out of the what-if subset."""
    off = set(session.view().off)
    st.pills(
        "Tasks in the subset", _listed(names), selection_mode="multi",
        format_func=lambda k: words.plain(names[k]),
        **_bind("off", [k for k in range(len(names)) if k not in off],
                lambda chosen: tuple(k for k in range(len(names)) if k not in set(chosen)), first="default"),
    )  # fmt: skip


def estimator_controls(recipe: Recipe) -> None:
    """Choose how outcomes are computed from a recipe's network."""
    view = session.view()
    gradex = view.estimator == "gradex"
    allowed = offered_projections(recipe, view.dim)
    offered = [name for name in PROJECTIONS if name == "auto" or name in allowed]
    shown = view.projection if view.projection in offered else "auto"
    exact = resolved_projection(shown, recipe, view.dim) == "exact"
    with st.container(horizontal=True, gap="medium"):
        st.segmented_control(
            "Estimator", MODEL_ESTIMATORS, format_func=words.ESTIMATOR_NAMES.__getitem__, required=True,
            help=words.ESTIMATOR_HELP, **_bind("estimator", view.estimator, first="default"),
        )  # fmt: skip
        st.selectbox(
            "Gradients", offered, width=180, disabled=not gradex, help=words.PROJECTION_HELP,
            format_func=words.PROJECTION_NAMES.__getitem__,
            **_bind("projection", shown, index=offered.index(shown)),
        )  # fmt: skip
        st.select_slider(
            "Dimensions", _grid((64, 128, 256, 512, 1024), view.dim), width=220,
            disabled=not gradex or exact, **_bind("dim", view.dim),
        )  # fmt: skip
        pull_slider(recipe.ridge)
    if not gradex or exact:
        text = recipe.objective == NEXT_TOKENS
        st.caption(words.WHY_NO_DIMENSIONS["exact" if gradex else "fine_tuning" if text else "retraining"])


def pull_slider(ridge: float) -> None:
    """Choose the pull towards W0 on a logarithmic scale that contains the usual one."""
    current = session.view().pull or ridge
    st.select_slider(
        "Pull towards W0", _grid(PULLS, ridge, current), width=220, help=words.PULL_HELP,
        format_func=lambda value: f"{value:.4g}" + (" (usual)" if value == ridge else ""),
        **_bind("pull", current, lambda value: None if value == ridge else value),
    )  # fmt: skip


def measure_picker(names: Sequence[str]) -> None:
    """Choose what the outcomes are, where there is more than the loss; `names` are those of the measures."""
    if len(names) == 1:
        return
    shown = session.view().measure if session.view().measure in names else names[0]
    st.segmented_control(
        "Outcomes are", names, required=True, help=words.MEASURE_HELP,
        **_bind("measure", shown, lambda value: "" if value == names[0] else value, first="default"),
    )  # fmt: skip


def claim_picker(places: Mapping[str, str]) -> None:
    """Choose one of the paper's claims; `places` are where each stands, by key."""
    shown = session.view().claim if session.view().claim in places else next(iter(places))
    st.selectbox(
        "Claim", list(places), width=260, format_func=places.__getitem__,
        **_bind("claim", shown, index=list(places).index(shown)),
    )  # fmt: skip


def methods_picker(titles: Mapping[str, str], usual: Sequence[str], *, always: str) -> tuple[str, ...]:
    """Choose attribution methods beside one that is `always` among them; `titles` are what can be chosen, by name.

    Returns those that are chosen: `usual` ones while the view names none.
    """
    view = session.view()
    named = set(view.methods or usual)
    shown = [name for name in titles if name in named]

    def read(chosen: Sequence[str]) -> tuple[str, ...]:
        return tuple(name for name in titles if name in chosen) or (always,)

    st.multiselect(
        f"Methods beside the {always} surrogate", list(titles), format_func=titles.__getitem__,
        **_bind("methods", shown, read, first="default"),
    )  # fmt: skip
    return tuple(shown)


def beside_pickers(titles: Mapping[str, str]) -> tuple[str, str]:
    """Choose which two of the compared methods stand side by side; the first two where the view names none."""
    names = list(titles)
    named = session.view().beside
    first, second = named if len(named) == 2 and set(named) <= set(names) else names[:2]
    for position, (label, name) in enumerate((("First", first), ("Second", second))):
        field = f"beside{position}"
        _show(field, name)
        st.selectbox(
            label, names, names.index(name), format_func=titles.__getitem__, width=260, key=_key(field),
            on_change=_take_beside,
        )  # fmt: skip
    return first, second


def _take_beside() -> None:
    session.update(beside=(st.session_state[_key("beside0")], st.session_state[_key("beside1")]))


def scaled_toggle() -> bool:
    """Choose whether effects are divided by the strongest one of their method."""
    st.toggle(
        "Each by its strongest effect",
        help="TracIn and TRAK have scales of their own: only ratios of their effects mean anything.",
        **_bind("scaled", session.view().scaled),
    )
    return session.view().scaled


def comparison_picker() -> str:
    """Choose what Compare shows."""
    st.segmented_control(
        "Compare", tuple(words.COMPARISON_NAMES), format_func=words.COMPARISON_NAMES.__getitem__, required=True,
        help=words.COMPARISON_HELP, **_bind("compared", session.view().compared, first="default"),
    )  # fmt: skip
    return session.view().compared


def price_input(label: str) -> None:
    """Choose what a unit of cost is worth."""
    st.number_input(
        label, min_value=0.0, max_value=1e6, format="%g", width=260, **_bind("price", session.view().price)
    )


def left_out_picker(names: Sequence[str], shown: Sequence[int]) -> None:
    """Choose tasks to leave out; `shown` are those displayed now."""
    st.multiselect(
        "Tasks to leave out", range(len(names)), format_func=names.__getitem__, placeholder="Choose tasks",
        **_bind("off", list(shown), lambda chosen: tuple(sorted(chosen)), first="default"),
    )  # fmt: skip


def sampler_picker(K: int, *, proposals: bool = True) -> None:
    """Choose the next subsets: by a design, at random, or as those that would narrow the readout most."""
    left_out = {name for name, offered in (("next", proposals), ("all", K <= MOST_TASKS_AFFORDED)) if not offered}
    design = shown_design(K)
    shown = session.view().sampler if session.view().sampler == "next" and proposals else design
    st.segmented_control(
        "Which subsets", [name for name in words.SAMPLER_NAMES if name not in left_out],
        format_func=words.SAMPLER_NAMES.__getitem__, required=True, help=words.SAMPLER_HELP, wrap=True,
        **_bind("sampler", "random" if shown == "distinct" else shown, _design_of_name, first="default"),
    )  # fmt: skip


def _design_of_name(name: str) -> str:
    return "distinct" if name == "random" else name


def shown_design(K: int) -> str:
    """The design of the view; "auto" for all subsets of too many tasks, random subsets where none is chosen."""
    sampler = session.view().sampler
    return "auto" if sampler == "all" and K > MOST_TASKS_AFFORDED else "random" if sampler == "next" else sampler


def more_slider() -> None:
    """Choose how many of the next best subsets are wanted."""
    current = session.view().more
    st.select_slider("New subsets", _grid((5, 10, 20, 30, 50, 75, 100, 150, 200), current), width=260,
                     **_bind("more", current))  # fmt: skip


def sampler_controls(K: int, *, random: bool = True) -> None:
    """Choose how many subsets are drawn next, and the random ones where there are any among them."""
    view = session.view()
    if not random:
        _count_slider()
        return
    grid = st.grid(4, min_column_width=180, gap="medium")
    how, amount, count, seed = (grid.cell() for _ in range(4))
    with how:
        drawn = "bernoulli" if view.size is None else "fixed"
        _show("draw", drawn)
        st.segmented_control(
            "Random ones", tuple(words.DRAW_NAMES), default=drawn, format_func=words.DRAW_NAMES.__getitem__,
            required=True, help=words.DRAW_HELP, key=_key("draw"), on_change=_take_draw, args=(K,),
        )  # fmt: skip
    with amount:
        if view.size is None:
            steps = [round(0.05 * i, 2) for i in range(1, 20)]
            shown = min(steps, key=lambda step: abs(step - view.p))
            st.select_slider("Inclusion probability p", steps, **_bind("p", shown))
        else:
            st.slider("Tasks per subset r", 1, K, **_bind("size", min(view.size, K)))
    with count:
        _count_slider()
    with seed:
        st.number_input("Seed", 0, 10**9, step=1, **_bind("seed", view.seed, int))


def _listed(names: Sequence[str]) -> list[int]:
    """Positions of names as a list offers them: as given, many in their natural order, in which each can be found."""
    return natural_order(names) if len(names) > MOST_BARS else list(range(len(names)))


def _count_slider() -> None:
    shown = session.view().subsets
    steps = _grid((50, 100, 200, 300, 400, 600, 800, 1000, 2000), shown)
    st.select_slider("Subsets m", steps, width=260, **_bind("subsets", shown))


def _take_draw(K: int) -> None:
    session.update(size=None if st.session_state[_key("draw")] == "bernoulli" else max(1, K // 2))


def _grid(values: Sequence[float], *more: float) -> list[float]:
    return sorted({*values, *more})
