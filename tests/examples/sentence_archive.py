"""An archive like the published one that the shipped sentences were drawn from."""

import io
import tarfile

from kernelsm.examples.sentiment.sentences import SOURCES


def add(archive, name, data):
    member = tarfile.TarInfo(name)
    member.size = len(data)
    archive.addfile(member, io.BytesIO(data))


def sdist(path, rows, *, inside="additional_resources/hutto_ICWSM_2014.tar.gz", encoding="utf-8"):
    """An archive like the published one, with the given (rating, text) rows of each source."""
    inner = io.BytesIO()
    with tarfile.open(fileobj=inner, mode="w:gz") as archive:
        for source, name in SOURCES.items():
            lines = [f"{i}\t{rating}\t{text}" for i, (rating, text) in enumerate(rows[source])]
            add(archive, f"hutto_ICWSM_2014/{name}_GroundTruth.txt", "\r\n".join(lines).encode(encoding))
    with tarfile.open(path, "w:gz") as archive:
        add(archive, f"vaderSentiment-3.3.2/{inside}", inner.getvalue())
    return path
