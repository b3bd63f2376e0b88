"""A reader of bytes that checks its own preview."""

import pytest

from kernelsm.samples.reader import preview_samples, read_samples


@pytest.fixture
def read(tmp_path):
    """Return a function that reads bytes under a name and checks that the preview sees the same."""

    def read(data, name, limits=None):
        path = tmp_path / "upload"
        path.write_bytes(data)
        samples = read_samples(path, name, limits)
        preview = preview_samples(path, name, limits)
        assert samples.name == preview.samples.name == name
        assert samples.names == preview.samples.names
        assert preview.rows in (None, samples.rows)
        for column in samples.names:
            assert len(samples.values(column)) == samples.rows
        return samples

    return read
