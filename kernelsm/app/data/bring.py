"""Bring your own: the part of the Data & model page that reads a user's files and prepares them."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import PurePath

import streamlit as st

from kernelsm.app.data import gallery, prompts, saved_work
from kernelsm.app.data.as_read import show_reading
from kernelsm.app.data.column_mapping import mapping_controls
from kernelsm.app.data.network import model_controls
from kernelsm.app.data.network_facts import doubts, engine_sentence, network_sentences, text_sentences
from kernelsm.app.data.task_weights import feature_weights, sizes_table, weight_controls
from kernelsm.app.shell import disk, frame, navigation, session, weighing
from kernelsm.app.shell.job_panel import job_panel, registry
from kernelsm.app.shell.shown_tables import show_table
from kernelsm.app.shell.uploaded_files import ONE_AT_A_TIME, dropped_file
from kernelsm.app.shell.words import plain
from kernelsm.charts.training import training_curve
from kernelsm.examples.templates import Template, templates
from kernelsm.files.accepting import ending_of
from kernelsm.files.limits import limits
from kernelsm.objectives.registry import find_class
from kernelsm.runtime.errors import InputError
from kernelsm.samples.column_facts import Facts
from kernelsm.samples.reader import Preview, preview_samples, read_facts
from kernelsm.tasks.mapping import SampleMapping
from kernelsm.tasks.suite import NEXT_TOKENS
from kernelsm.workspace.mapping_files import mapping_file
from kernelsm.workspace.projects import PROJECTS, Project, project_groups
from kernelsm.workspace.requests import FileRef, NetworkRequest, ProjectRequest
from kernelsm.workspace.uploads import upload_path

_WHAT = "kernelsm_bring"
_PREVIEW_COLUMNS = 40

FEATURES_FORMAT = """\
One NPZ file that `kernelsm.save_features` writes, or `numpy.savez` with the arrays `train_logits` (n, C),
`train_features` (n, C, k), `train_labels`, `train_task`, the same for `test_...` with `test_target`, and
`task_names`, `target_names`. It holds no sample and no model: compute it where they are, for instance with
`python -m kernelsm features my_code.py:make features.npz`.
"""


def bring() -> None:
    """Draw the choice of what to bring, and the controls for it."""
    st.header("Bring your own")
    try:
        limits()
    except InputError as error:  # the server's settings, on which every upload below depends
        gallery.refusal(error)
        return
    sections: dict[str, Callable[[], None]] = {
        "Data and a model": samples, "A table of outcomes": gallery.upload, "Gradient features": features,
        "Demonstrations for a prompt": prompts.prompts, "A saved session": saved_work.restore,
    }  # fmt: skip
    st.session_state.setdefault(_WHAT, next(iter(sections)))
    chosen = st.segmented_control(
        "What do you bring?", list(sections), key=_WHAT, required=True, persist_state="session",
        help="Data and a model go through the whole algorithm. Outcomes that were measured elsewhere need no model.",
        wrap=True,
    )  # fmt: skip
    try:
        sections[str(chosen)]()
    except InputError as error:
        gallery.refusal(error)
    saved_work.own_work()


def samples() -> None:
    """Draw the way from a file of samples to a project: file, meaning of its columns, network, check."""
    left, right = frame.panels()
    with right:
        _templates()
    try:
        with left:
            ref = dropped_file(
                "Samples (CSV, TSV, Excel, Parquet, JSON, JSON lines, NPZ, or a zipped Hugging Face dataset)",
                "bring_samples", limits().megabytes,
            )  # fmt: skip
        if ref is None:
            return
        preview = _preview(ref.key, ref.name)
    except InputError as error:
        gallery.refusal(error)
        return
    _shown(preview, ref.name)
    try:
        facts = _facts(ref.key, ref.name)
    except InputError as error:  # further down than the rows that are shown
        gallery.refusal(error)
        return
    show_reading(facts)
    mapping = mapping_controls(ref.key, facts)
    if mapping is None:
        return
    mapping = weight_controls(ref, mapping)
    model = model_controls(mapping, ref)
    if model is not None:
        _mapping_file(ref, mapping, model)
        _prepare(ref, mapping, model, preview.rows or preview.samples.rows)


def _mapping_file(ref: FileRef, mapping: SampleMapping, model: NetworkRequest) -> None:
    """Offer what was chosen as a file, with which the command line computes the same."""
    with st.expander("As a mapping file, for the command line", icon=":material/terminal:"):
        st.download_button(
            "Mapping file (JSON)", mapping_file(ref.name, mapping, model), "mapping.json", "application/json",
            icon=":material/download:", on_click="ignore", key="bring_mapping_file",
        )  # fmt: skip
        words = ["python", "-m", "kernelsm", "run", f"--samples={ref.name}", "--mapping=mapping.json"]
        words += ["--weights=weights.safetensors", "--description=model.json"] if model.origin == "weights" else []
        st.code(shlex.join([*words, "--out=outcomes.parquet"]), language="bash", wrap_lines=True)
        if model.origin in ("folder", "path"):
            taken = "takes the packaged language model" if mapping.objective == NEXT_TOKENS else (
                "trains a built-in network"
            )  # fmt: skip
            st.caption(f"The command line {taken}; a Hugging Face model is used in the app alone.")


def features() -> None:
    """Draw the way from a file of gradient features to a project."""
    left, right = frame.panels()
    with right:
        st.markdown(FEATURES_FORMAT)
    with left:
        ref = dropped_file("Gradient features (NPZ)", "bring_features", limits().megabytes)
    if ref is None:
        return
    st.markdown("### How much each task counts")
    weights = feature_weights(ref)
    request = ProjectRequest(PurePath(ref.name).stem, ref, weights, NetworkRequest("features"))
    _check(request, request.seconds(0))


@st.cache_resource(max_entries=2, show_spinner="Reading the file ...", scope="session")
def _preview(key: str, name: str) -> Preview:
    return preview_samples(upload_path(key, ending_of(name)), name)


@st.cache_resource(max_entries=4, show_spinner="Reading the whole file ...", scope="session")
def _facts(key: str, name: str) -> Facts:
    with ONE_AT_A_TIME:
        return read_facts(upload_path(key, ending_of(name)), name)


def _templates() -> None:
    st.markdown(
        "One row per sample: what the network reads, its label, and, if you like, a task, a group for testing and a "
        "split. Try one of these real files:"
    )
    makers = templates()
    name = st.selectbox("Template", list(makers), key="bring_template", persist_state="session")
    template = _template(name)
    st.caption(template.about)
    st.download_button(
        f"Download {template.name}", template.data, template.name, template.mime, icon=":material/download:"
    )


@st.cache_resource(max_entries=16, show_spinner=False)
def _template(name: str) -> Template:
    return templates()[name]()


def _shown(preview: Preview, name: str) -> None:
    samples = preview.samples
    count = f"{preview.rows:,} rows" if preview.rows is not None else f"more than {samples.rows:,} rows"
    first = samples.frame(8)
    half, wide = _PREVIEW_COLUMNS // 2, len(first.columns) > _PREVIEW_COLUMNS
    shown = first[[*first.columns[:half], *first.columns[-half:]]] if wide else first
    st.caption(
        f"{plain(name)}: {count}, {len(samples.names)} columns"
        + (f"; the first and last {half} are shown" if wide else "")
    )
    show_table(shown, hide_index=True, height=240, alt=f"First rows of {name}")


def _prepare(ref: FileRef, mapping: SampleMapping, model: NetworkRequest, rows: int) -> None:
    st.markdown("### Check and prepare")
    title = st.text_input("Name", PurePath(ref.name).stem[:60], max_chars=60, key=f"bring_title_{ref.key}")
    request = ProjectRequest(title.strip() or ref.name, ref, mapping.to_dict(), model)
    _check(request, request.seconds(rows))


def _check(request: ProjectRequest, seconds: float) -> None:
    """Draw the job that prepares the project, and its result."""
    spec = request.job()
    explanation = "Solves a few subsets to time them." if request.model.origin == "features" else (
        "Reads the whole file, groups it into tasks, trains or loads the network, checks that both fit, and times a "
        "few samples for the estimates of what follows."
    )  # fmt: skip
    st.caption(explanation)
    job_panel(spec, seconds, request.title, start="Check and prepare", cancel="Cancel", key="prepare")
    status = registry().status(spec.key)
    if status and status.state == "done" and status.result:
        _show_project(status.result["project"], request.title)


def _show_project(key: str, title: str) -> None:
    """Say what was prepared, and link to the next page."""
    try:
        project = PROJECTS.load(key)
    except InputError:
        st.info("It was deleted since: check and prepare it again.", icon=":material/info:")
        return
    size, about = project.recipe.size, project.about
    targets = f"{size.targets} target{'s' if size.targets > 1 else ''}"
    st.success(
        f"{size.tasks} tasks and {targets}: {size.samples:,} training and {size.test_samples:,} test samples of "
        f"{find_class(project.recipe.objective).labels_in_words(size.classes)}.",
        icon=":material/check:",
    )
    for note in notes(project):
        st.warning(note, icon=":material/info:")
    _weights(key)
    objective = find_class(project.recipe.objective)
    if headline := about.get(objective.headline):
        st.markdown(
            f"The network has {project.recipe.parameters:,} parameters. As trained (its weights are called W0) it "
            f"{objective.headline_in_words(headline['train'], headline['test'])}."
        )
    for sentence in (*network_sentences(about), engine_sentence(about)):
        if sentence:
            st.caption(sentence)
    if len(about.get("curve", [])) > 1:
        curve = training_curve(about["curve"], unit=objective.measures[0].unit, dark=frame.is_dark())
        frame.show(curve, "bring_curve", toolbar=False)
    st.button(
        "Go on to Gradients", type="primary", icon=":material/trending_down:", on_click=_go_on, args=(key, title)
    )  # fmt: skip


def _weights(key: str) -> None:
    """Say how tasks are weighed, of what sizes they are, and which are too small to say much."""
    st.markdown(weighing.source_sentence(key))
    tasks = project_groups(key)[0]
    if few := weighing.few_samples_sentence(tasks):
        st.warning(few, icon=":material/info:")
    with st.expander("Sizes of the tasks", icon=":material/format_list_numbered:"):
        sizes_table(tasks)


def notes(project: Project) -> list[str]:
    """Return sentences on what was changed or left out when the samples were read."""
    about = project.about
    sentences, data = [], about.get("data", {})
    dropped = data.get("dropped", [])
    if dropped:
        names = ", ".join(plain(str(name)) for name in dropped[:5]) + (" ..." if len(dropped) > 5 else "")
        sentences.append(f"Columns that never change were left out: {names}.")
    sentences += [plain(note) for note in data.get("split_notes", [])]
    if data.get("left_out") and "split_notes" not in data:  # of earlier versions
        sentences.append(f"{data['left_out']:,} validation samples were left out: there are test samples.")
    if data.get("cut") and data.get("length"):
        sentences.append(f"{data['cut']:,} texts were longer than {data['length']} tokens, and were cut.")
    return [*sentences, *text_sentences(about), *doubts(project)]


@disk.callback
def _go_on(key: str, title: str) -> None:
    session.bring(PROJECTS, key, title)
    session.open_kept(PROJECTS, key)
    navigation.go(navigation.GRADIENTS)
