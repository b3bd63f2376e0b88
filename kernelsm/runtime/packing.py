"""Objects as bytes that other processes can share: large arrays and tensors stand apart and are never copied.

`pack` pickles an object; its arrays and tensors are left out of the pickle and kept as they are in memory. Written
to a file and opened as a memory map, they take memory once for all processes of a computer; a process that changes
one gets its own copy of those pages. Arrays that are memory maps already are opened again by their path.

Only what this process packed itself is ever unpacked: pickles can run code.
"""

from __future__ import annotations

import hashlib
import io
import mmap
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import cloudpickle
import numpy as np
from numpy.typing import NDArray

_ALIGNMENT = 64  # as torch aligns its own memory: products of numbers that lie otherwise may round otherwise


@dataclass(frozen=True, eq=False)
class Packed:
    """A pickled object.

    Parameters
    ----------
    pickled : bytes
    buffers : list of ndarray of uint8
        The contents of its arrays.
    """

    pickled: bytes
    buffers: list[NDArray[np.uint8]]

    @cached_property
    def digest(self) -> str:
        """Forty hex digits of the content."""
        content = hashlib.sha1(self.pickled, usedforsecurity=False)
        for buffer in self.buffers:
            content.update(buffer.data)
        return content.hexdigest()

    @cached_property
    def places(self) -> list[tuple[int, int]]:
        """First byte and length of the pickle and of each buffer in a file."""
        found, start = [], 0
        for size in (len(self.pickled), *(buffer.nbytes for buffer in self.buffers)):
            found.append((start, size))
            start = -(-(start + size) // _ALIGNMENT) * _ALIGNMENT
        return found

    @property
    def _parts(self) -> list[memoryview]:
        return [memoryview(self.pickled), *(buffer.data for buffer in self.buffers)]

    @property
    def size(self) -> int:
        """Bytes of the file."""
        start, length = self.places[-1]
        return start + length

    def write(self, file: BinaryIO) -> None:
        """Write all of it into an empty file."""
        for (start, _), part in zip(self.places, self._parts, strict=True):
            file.seek(start)
            file.write(part)
        file.flush()

    def unpack(self) -> Any:
        """Return the object, on memory of its own."""
        whole = mmap.mmap(-1, self.size)
        for (start, size), part in zip(self.places, self._parts, strict=True):
            memoryview(whole)[start : start + size] = part
        return unpack_from(whole, self.places)


def pack(value: Any, *, by_path: bool = True) -> Packed:
    """Pickle an object.

    Parameters
    ----------
    value : object
        Classes and functions that cannot be imported go along; a file or a lock cannot.
    by_path : bool
        Whether memory maps are opened again by their path, which needs the same disk; else their content goes along.

    Examples
    --------
    >>> import numpy as np
    >>> packed = pack({"numbers": np.arange(4.0)})
    >>> packed.unpack()["numbers"].sum()
    np.float64(6.0)
    >>> len(packed.buffers)
    1
    """
    buffers: list[pickle.PickleBuffer] = []
    file = io.BytesIO()
    _Pickler(file, buffers.append, by_path=by_path).dump(value)
    return Packed(file.getvalue(), [np.frombuffer(buffer.raw(), dtype=np.uint8) for buffer in buffers])


def unpack_file(descriptor: int, places: list[tuple[int, int]]) -> Any:
    """Return the object of a file that `Packed.write` wrote; its arrays are memory maps of the file."""
    return unpack_from(mmap.mmap(descriptor, 0, access=mmap.ACCESS_COPY), places)


def unpack_from(whole: mmap.mmap, places: list[tuple[int, int]]) -> Any:
    """Return the object in a memory map, on that memory."""
    view = memoryview(whole)
    pickled, *buffers = (view[start : start + size] for start, size in places)
    return pickle.loads(pickled, buffers=buffers)


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    def __init__(self, file: io.BytesIO, keep: Callable[[pickle.PickleBuffer], None], *, by_path: bool) -> None:
        super().__init__(file, protocol=5, buffer_callback=keep)
        self._by_path = by_path

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, np.memmap):
            return self._of_map(value)
        if type(value).__module__ == "torch" and type(value).__name__ == "Tensor":
            return _of_tensor(value)
        return super().reducer_override(value)

    def _of_map(self, value: np.memmap[Any, Any]) -> Any:
        # a part of a map does not know where in the file it begins
        whole = isinstance(getattr(value, "base", None), mmap.mmap) and value.flags.c_contiguous
        if self._by_path and whole and Path(str(value.filename)).is_file():
            return np.memmap, (str(value.filename), value.dtype, "r", value.offset, value.shape)
        return np.asarray, (np.array(value),)


def _of_tensor(tensor: Any) -> Any:
    """A tensor by its memory; anything but plain numbers in memory as torch itself pickles it."""
    import torch

    plain = tensor.device.type == "cpu" and tensor.layout is torch.strided and tensor.is_contiguous()
    if not plain or tensor.requires_grad or tensor.is_quantized or not tensor.numel() or tensor.is_conj():
        return NotImplemented
    return _tensor, (tensor.detach().reshape(-1).view(torch.uint8).numpy(), tensor.dtype, tuple(tensor.shape))


def _tensor(memory: NDArray[np.uint8], dtype: Any, shape: tuple[int, ...]) -> Any:
    import torch

    return torch.from_numpy(memory).view(dtype).reshape(shape)
