"""The Compare page: methods that a run can have, costs first, the job, scores and two methods side by side."""

from __future__ import annotations

import pytest
import small_files
from app_harness import bring, charts, open_app, prepare, press, run, texts

from kernelsm.examples.catalog import load_example
from kernelsm.outcomes.samplers import fixed_size_masks
from kernelsm.outcomes.table import Outcomes
from kernelsm.pipelines.method_sources import expected_seconds, possible_for
from kernelsm.prompts.task import Labelled, PromptTask
from kernelsm.runtime.job import JobSpec
from kernelsm.workspace.prompt_projects import PromptSource, keep_prompts
from kernelsm.workspace.tables import save_run


def picker(app):
    (found,) = (one for one in app.multiselect if one.label.startswith("Methods beside"))
    return found


def test_a_run_with_a_network_offers_all_methods_and_their_cost() -> None:
    app = open_app("compare", run="digits")
    options = picker(app).options
    assert "influence functions, conjugate gradients" in options
    assert "default surrogate" not in options
    costs = app.dataframe[0].value
    assert costs["method"].tolist()[0] == "default surrogate"
    assert costs["looks at"].tolist() == ["the outcomes", "the outcomes", "the outcomes", "gradients", "gradients"]
    assert not charts(app)


def test_a_table_alone_offers_what_asks_the_table_and_says_why() -> None:
    outcomes = load_example("planted")
    key = save_run(Outcomes(outcomes.masks, outcomes.values))
    app = open_app("compare", run=key)
    assert not {"TRAK, scores of samples summed", "TRAK on embeddings"} & set(picker(app).options)
    assert "datamodels (Lasso)" in picker(app).options
    assert "methods that look at gradients need one" in texts(app)


def test_prompts_offer_methods_on_embeddings_and_what_asking_the_model_takes() -> None:
    app = open_app("compare", run="movie-reviews")
    assert "influence functions on embeddings" in picker(app).options
    assert "TRAK, scores of samples summed" not in picker(app).options
    assert "methods that look at gradients need one" not in texts(app)
    picker(app).set_value(["prompt_tracin", "prompt_trak"]).run()
    costs = app.dataframe[0].value
    assert costs["looks at"].tolist() == ["the outcomes", "the language model", "the language model"]
    # both read the same gradients: what they take together is what one takes, and a little
    each = expected_seconds("prompt_trak", "movie-reviews", load_example("movie-reviews"))
    assert each > 300
    (together,) = (one.label for one in app.expander if one.label.startswith("What they cost"))
    assert f"{round(each / 60)} min" in together


@pytest.mark.usefixtures("warm_server")
def test_the_game_is_compared_and_two_methods_stand_side_by_side(jobs: list[JobSpec]) -> None:
    app = open_app("compare", run="planted")
    picker(app).set_value(["linear", "datamodels"]).run()
    press(app, "Compare them")
    assert jobs[-1].arguments["methods"] == ("default", "linear", "datamodels")
    said = texts(app)
    assert "On 100 further subsets of the game, without noise the default surrogate predicts best" in said
    scores = app.table[0].value
    # of a game nothing is retrained: no empty columns, and no advice that cannot be taken
    assert list(scores.columns) == ["LDS", "seconds", "cannot say"]
    assert "No leave-one-out was measured" not in said
    assert scores.index[0] == "default surrogate"
    lds = [float(words.split()[0]) for words in scores["LDS"]]
    assert lds == sorted(lds, reverse=True)
    assert set(scores["cannot say"]) == {"", "pairs", "pairs and how sure it is"}
    (chart,) = charts(app)
    assert chart["data"][0]["zmax"] == -chart["data"][0]["zmin"]
    table = next(frame.value for frame in app.dataframe if "difference" in frame.value.columns)
    first, second = table.columns[1:3]
    assert (table[first] - table[second] - table["difference"]).abs().max() < 1e-12
    assert table[first].abs().max() == pytest.approx(1.0)
    app.toggle(key="view_scaled").set_value(False).run()
    assert not app.exception
    (chart,) = charts(app)
    assert chart["data"][0]["colorbar"]["title"]["text"] == "loss, nats"


@pytest.mark.usefixtures("warm_server")
def test_the_link_carries_the_methods_and_the_two_side_by_side(jobs: list[JobSpec]) -> None:
    app = open_app("compare", run="planted", methods="linear-rbf")
    assert picker(app).value == ["rbf", "linear"]  # in the order of the catalog, so that equal work is one job
    press(app, "Compare them")
    assert jobs[-1].arguments["methods"] == ("default", "rbf", "linear")
    app.selectbox(key="view_beside0").set_value("linear").run()
    app.selectbox(key="view_beside1").set_value("rbf").run()
    app.toggle(key="view_scaled").set_value(False).run()
    params = app.session_state["kernelsm_view"].to_params()
    assert params == {"run": "planted", "methods": "linear-rbf", "beside": "linear-rbf", "scaled": "0"}
    again = open_app("compare", **params)
    for shown in (app, again):
        table = next(frame.value for frame in shown.dataframe if "difference" in frame.value.columns)
        assert table.columns[1:3].tolist() == ["tuned linear surrogate", "tuned RBF surrogate"]
        assert not shown.exception


def test_no_method_chosen_is_the_default_alone_and_another_run_begins_anew() -> None:
    app = open_app("compare", run="planted")
    picker(app).set_value([]).run()
    assert app.session_state["kernelsm_view"].methods == ("default",)
    assert picker(app).value == []
    assert app.session_state["kernelsm_view"].on_run("digits").methods == ()


@pytest.mark.usefixtures("warm_server")
def test_own_data_are_compared_on_held_out_subsets(jobs: list[JobSpec]) -> None:
    app = prepare(bring("numbers.csv", small_files.csv()))
    app.button(key="job_start").click().run()
    press(app, "Show this result on all pages")
    app = open_app("compare", browser=app, run=run(app))
    picker(app).set_value(["influence_exact", "tracin"]).run()
    press(app, "Compare them")
    assert "subsets held out of the table" in texts(app)
    assert "No leave-one-out was measured for this run: choose that method" in texts(app)
    scores = app.table[0].value
    assert len(scores) == 3
    assert all(-1 <= float(words.split()[0]) <= 1 for words in scores["LDS"])


def test_expected_times_are_known_without_torch_and_grow_with_the_work() -> None:
    outcomes = load_example("digits")
    seconds = {name: expected_seconds(name, "digits", outcomes) for name in possible_for("digits")}
    assert min(seconds.values()) > 0
    assert seconds["tracin"] < seconds["influence_cg"] < seconds["influence_lissa"]
    assert seconds["proxyspex"] > 10 * seconds["default"]
    assert possible_for("planted") == possible_for("")


def test_texts_of_somebody_else_are_not_asked_about() -> None:
    shown = tuple(Labelled(f"text {place}", "yes" if place % 2 else "no") for place in range(5))
    task = PromptTask(shown, shown[:2], (), ("yes", "no"), k=2)
    texts_key = keep_prompts(PromptSource("somebody's texts", task))
    masks = fixed_size_masks(5, 8, size=2, seed=0, distinct=True)
    outcomes = Outcomes(masks, masks @ [[1.0], [2.0], [3.0], [4.0], [5.0]],
                        meta={"prompts": texts_key, "task": task.content_hash})  # fmt: skip
    app = open_app("compare", run=save_run(outcomes))
    assert "TracIn on embeddings" not in picker(app).options
    assert "datamodels (Lasso)" in picker(app).options
    assert "not this browser's own" in texts(app).replace("\\", "")
