"""The house: who may import whom, and what stays out of thin pages and fast starts."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

HOME = Path(__file__).resolve().parents[1]
PACKAGE = HOME / "kernelsm"
# the order in which data flows: a folder imports from those before it only
ORDER = [
    "runtime", "files", "samples", "outcomes", "tasks", "surrogates", "evaluation", "selection", "charts", "models",
    "objectives", "gradients", "estimators", "attributors", "prompts", "policies", "examples", "workspace",
    "pipelines", "paper", "export", "app",
]  # fmt: skip
TO_COME: set[str] = set()  # folders whose place is kept
PAGES = sorted((HOME / "pages").glob("*.py"))
FRAME = HOME / "app.py"
SOURCES = sorted(PACKAGE.rglob("*.py")) + PAGES + ([FRAME] if FRAME.exists() else [])
TESTS = sorted((HOME / "tests").rglob("*.py"))


def imports(file):
    """Full names of all modules that a file imports, wherever in it the import stands."""
    inside = file.is_relative_to(PACKAGE)
    package = list(file.relative_to(HOME).parts[:-1]) if inside else []
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            # `from kernelsm import charts` imports a folder as well
            found |= {module} | {f"{module}.{alias.name}" for alias in node.names}
    return found


def folders_of(modules):
    """Folders of kernelsm among modules."""
    return {m.split(".")[1] for m in modules if m.startswith("kernelsm.") and m.split(".")[1] in ORDER}


def relative(file):
    return file.relative_to(HOME).as_posix()


def test_the_folders_of_the_house_are_found():
    folders = {file.parent.name for file in PACKAGE.glob("*/__init__.py")}
    assert set(ORDER) - TO_COME <= folders <= set(ORDER)
    assert len(SOURCES) > 25


def test_the_reader_of_imports_sees_them_all(tmp_path):
    file = tmp_path / "probe.py"
    file.write_text("import a.b\nfrom kernelsm import charts\ndef f():\n    from kernelsm.app.x import y\n")
    assert imports(file) >= {"a.b", "kernelsm.charts", "kernelsm.app.x"}
    assert folders_of(imports(file)) == {"charts", "app"}


@pytest.mark.parametrize("folder", ORDER)
def test_a_folder_imports_only_from_folders_above_it(folder):
    allowed = set(ORDER[: ORDER.index(folder) + 1])
    for file in (PACKAGE / folder).rglob("*.py"):
        below = folders_of(imports(file)) - allowed
        assert not below, f"{relative(file)} imports {', '.join(sorted(below))}"


def test_no_files_import_each_other_in_a_circle():
    modules = {
        ".".join(file.relative_to(HOME).with_suffix("").parts): file for file in SOURCES if file.stem.isidentifier()
    }
    needs = {name: sorted(imports(file) & set(modules) - {name}) for name, file in modules.items()}
    done, path = set(), []

    def visit(name):
        assert name not in path, " -> ".join([*path[path.index(name) :], name])
        if name not in done:
            path.append(name)
            for other in needs[name]:
                visit(other)
            path.pop()
            done.add(name)

    for name in needs:
        visit(name)


def test_tests_stand_in_the_folders_of_what_they_test():
    folders = {file.parent.name for file in (HOME / "tests").rglob("test_*.py")}
    assert folders <= {*ORDER, "app", "benchmarks", "browser", "security", "tests"}


def test_only_the_app_and_its_pages_import_streamlit():
    for file in SOURCES:
        if file in PAGES or file == FRAME or file.is_relative_to(PACKAGE / "app"):
            continue
        assert not any(m.split(".")[0] == "streamlit" for m in imports(file)), relative(file)


def test_charts_import_neither_torch_nor_scikit_learn():
    # a finished example must be on screen before torch could be loaded
    for file in (PACKAGE / "charts").rglob("*.py"):
        heavy = {m.split(".")[0] for m in imports(file)} & {"torch", "sklearn"}
        assert not heavy, f"{relative(file)} imports {heavy}"


def test_pages_do_no_mathematics_and_are_short():
    for file in PAGES:
        heavy = {m.split(".")[0] for m in imports(file)} & {"numpy", "torch", "sklearn", "scipy", "pandas"}
        assert not heavy, f"{relative(file)} imports {heavy}"
        assert len(file.read_text().splitlines()) < 150, relative(file)
    if FRAME.exists():
        assert len(FRAME.read_text().splitlines()) < 60


def test_no_file_is_a_drawer_for_odds_and_ends():
    drawers = {"utils.py", "helpers.py", "common.py", "misc.py", "util.py"}
    assert not [relative(file) for file in SOURCES if file.name in drawers]


def test_files_are_one_idea_long():
    for file in SOURCES + TESTS:
        assert len(file.read_text().splitlines()) <= 500, relative(file)


@pytest.mark.parametrize(
    "statement",
    [
        "import kernelsm; dir(kernelsm)",
        "from kernelsm import Outcomes, KernelSurrogate, load_example; "
        "KernelSurrogate().fit_outcomes(load_example('planted')).interactions()",
    ],
)
def test_the_first_use_loads_neither_torch_nor_streamlit(statement):
    check = "import sys; print([m for m in ('torch', 'streamlit', 'transformers') if m in sys.modules])"
    command = [sys.executable, "-c", f"{statement}; {check}"]
    done = subprocess.run(command, cwd=HOME, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


def test_every_public_name_can_be_imported():
    import kernelsm

    for name in kernelsm.__all__:
        assert getattr(kernelsm, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = kernelsm.nothing


def test_the_docs_list_the_folders_in_their_order():
    listed = re.findall(r"^\| `kernelsm/(\w+)/` ", (HOME / "docs" / "house.md").read_text(), flags=re.M)
    assert listed == ORDER
