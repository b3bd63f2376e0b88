"""A user's own samples without the app: a mapping file says what the columns mean and which network is trained."""

from __future__ import annotations

from pathlib import Path

from kernelsm.files.limits import limits
from kernelsm.pipelines.prepare import prepare
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.progress import Report
from kernelsm.runtime.store import Store
from kernelsm.workspace.mapping_files import read_mapping_file
from kernelsm.workspace.requests import FileRef, NetworkRequest, ProjectRequest
from kernelsm.workspace.uploads import keep_upload


def prepare_own(
    samples: Path,
    mapping: Path,
    report: Report,
    store: Store,
    *,
    weights: Path | None = None,
    description: Path | None = None,
) -> str:
    """Make a project of a file of samples, and return its key: what *Check and prepare* does in the app.

    Parameters
    ----------
    samples, mapping : Path
    report, store
        Told of progress; keeps finished chunks, and the project beside them.
    weights, description : Path, optional
        Weights of a built-in architecture (safetensors), and the JSON that says which. Otherwise one is trained.

    Raises
    ------
    InputError
        Names the first thing that is wrong, in the data, the mapping or the network.
    """
    if (weights is None) != (description is None):
        fix = "Give both: the description says which architecture the weights are of."
        raise InputError("--weights", "one of two files", "--weights and --description", fix)
    columns, network = read_mapping_file(mapping)
    root = store.root.parent

    def sent(path: Path) -> FileRef:
        if path.stat().st_size > limits().megabytes * 2**20:
            fix = "Send fewer rows, or raise KERNELSM_MAX_MEGABYTES."
            raise InputError(path.name, f"{path.stat().st_size:,} bytes", f"{limits().megabytes} MiB at most", fix)
        return FileRef(keep_upload(path.read_bytes(), path.name, root), path.name)

    if weights is not None and description is not None:
        network = NetworkRequest(
            "weights", ridge=network.ridge, weights=sent(weights), config=sent(description), predicts=network.predicts
        )
    request = ProjectRequest(samples.stem, sent(samples), columns.to_dict(), network)
    return prepare(request, report, store)
