"""The safetensors format: tensors by name in one file, without code. Files move between this module and the `safetensors` package.

Layout: 8 bytes little-endian header length N; N bytes of JSON, padded with spaces to a multiple of 8, `{"__metadata__": {str: str},
name: {"dtype", "shape", "data_offsets": [begin, end]}}`; then the bytes of all tensors without gaps, row by row, little-endian.
Everything is checked before the first tensor is read: a file that was cut off or tampered with raises SafetensorError.
"""

from __future__ import annotations

import io
import json
import math
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO

import numpy as np

from ..autograd.graph import wrap
from ..tensor import Tensor

MAX_HEADER_BYTES = 100_000_000

_NUMPY: dict[str, Any] = {
    "BOOL": np.bool_, "U8": np.uint8, "I8": np.int8, "I16": np.int16, "U16": np.uint16, "I32": np.int32, "U32": np.uint32,
    "I64": np.int64, "U64": np.uint64, "F16": np.float16, "F32": np.float32, "F64": np.float64, "C64": np.complex64, "BF16": np.uint16,
}  # fmt: skip
_NAMES = {np.dtype(t): name for name, t in _NUMPY.items() if name != "BF16"}
# The order in which the reference implementation lays dtypes out: widest alignment first.
_ORDER = ("U64", "I64", "F64", "C64", "F32", "U32", "I32", "BF16", "F16", "U16", "I16", "I8", "U8", "BOOL")
_RANK = {name: rank for rank, name in enumerate(_ORDER)}
_WIDEN = {
    "U16": np.int32,
    "U32": np.int64,
    "U64": np.int64,
}  # what tensors hold in place of types that torch lacks arithmetic for


class SafetensorError(ValueError):
    """A file is not valid safetensors, or a value cannot be stored in one."""


# -- writing ----------------------------------------------------------------------------------------------------------


def save_file(
    tensors: Mapping[str, Any], filename: str | os.PathLike[str], metadata: Mapping[str, str] | None = None
) -> None:
    """Write tensors (or ndarrays) by name. The file appears complete or not at all. Raises SafetensorError for what cannot be stored."""
    header, arrays = _layout(tensors, metadata)

    def write(file: BinaryIO) -> None:
        file.write(header)
        for array in arrays:
            file.write(memoryview(array.reshape(-1)).cast("B") if array.size else b"")

    write_atomically(filename, write)


def save(tensors: Mapping[str, Any], metadata: Mapping[str, str] | None = None) -> bytes:
    """The bytes that `save_file` would write."""
    header, arrays = _layout(tensors, metadata)
    return header + b"".join(a.tobytes() for a in arrays)


def _layout(tensors: Mapping[str, Any], metadata: Mapping[str, str] | None) -> tuple[bytes, list[Any]]:
    header: dict[str, Any] = {}
    if metadata is not None:
        if any(not isinstance(k, str) or not isinstance(v, str) for k, v in metadata.items()):
            raise SafetensorError("metadata must map strings to strings; store structured values as JSON text")
        header["__metadata__"] = dict(metadata)
    entries = []
    for name, value in tensors.items():
        if not isinstance(name, str):
            raise SafetensorError(f"tensor names must be strings, got {name!r}")
        if name == "__metadata__":
            raise SafetensorError("a tensor cannot be named '__metadata__'")
        array = _as_array(name, value)
        entries.append((_RANK[_NAMES[array.dtype]], name, array))
    entries.sort(key=lambda e: (e[0], e[1]))
    offset = 0
    arrays = []
    for _, name, array in entries:
        end = offset + array.nbytes
        header[name] = {"dtype": _NAMES[array.dtype], "shape": list(array.shape), "data_offsets": [offset, end]}
        arrays.append(array)
        offset = end
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text, arrays


def _as_array(name: str, value: Any) -> Any:
    if isinstance(value, Tensor):
        value = value._data
    if not isinstance(value, np.ndarray):
        raise SafetensorError(f"'{name}': expected a tensor or an ndarray, got {type(value).__name__}")
    array = np.ascontiguousarray(value).reshape(value.shape)
    array = array.astype(array.dtype.newbyteorder("<"), copy=False)
    if np.dtype(array.dtype.newbyteorder("=")) not in _NAMES:
        raise SafetensorError(
            f"'{name}': safetensors has no type for {array.dtype}; store real and imaginary parts (or another dtype) instead"
        )
    return array


def write_atomically(filename: str | os.PathLike[str], write: Callable[[BinaryIO], None]) -> None:
    """Write beside the target, flush to disk, and rename: a crash leaves the old file or the new one, never half of one."""
    path = os.path.abspath(os.fspath(filename))
    folder = os.path.dirname(path)
    handle, temporary = tempfile.mkstemp(prefix=f".{os.path.basename(path)}.", suffix=".tmp", dir=folder)
    try:
        with os.fdopen(handle, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, os.stat(path).st_mode & 0o777 if os.path.exists(path) else 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise
    _sync_folder(folder)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _sync_folder(folder: str) -> None:
    """Make the rename itself durable, where the system allows a folder to be opened."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError:  # some file systems refuse
        return
    finally:
        os.close(handle)


# -- reading ----------------------------------------------------------------------------------------------------------


class safe_open:
    """An open file whose tensors are read one by one, from memory-mapped pages: `with safe_open(path) as f: f.get_tensor(name)`."""

    def __init__(self, filename: str | os.PathLike[str], framework: str = "np", device: str = "cpu") -> None:
        self.filename = os.fspath(filename)
        size = os.path.getsize(self.filename)
        with open(self.filename, "rb") as file:
            self._read_header(file, size)
        self._bytes: Any = (
            np.memmap(self.filename, np.uint8, "c") if size > self._start else np.zeros(self._start, np.uint8)
        )

    @classmethod
    def of_bytes(cls, data: bytes, name: str = "<bytes>") -> safe_open:
        """The same for the content of a file; `name` is what messages call it."""
        self = cls.__new__(cls)
        self.filename = name
        self._read_header(io.BytesIO(data), len(data))
        self._bytes = np.frombuffer(data, np.uint8)
        return self

    def _read_header(self, file: BinaryIO, size: int) -> None:
        n = _header_length(file.read(8), size, self.filename)
        self._entries, self._metadata = _parse(file.read(n), size - 8 - n, self.filename)
        self._start = 8 + n

    def keys(self) -> list[str]:
        """The names of the tensors."""
        return list(self._entries)

    def metadata(self) -> dict[str, str] | None:
        """The strings stored beside the tensors; None if the file has none."""
        return self._metadata

    def get_array(self, name: str, copy: bool = True, on_write: bool = False) -> Any:
        """The values as an ndarray; bfloat16 is widened to float32. `copy=False` gives pages of the file where possible: read-only, or,
        with `on_write`, pages that are copied when they are written to. The file itself is never changed."""
        if name not in self._entries:
            raise SafetensorError(f"{self.filename}: File does not contain tensor {name}")
        array = _view(self._bytes[self._start :], self._entries[name], copy)
        if not (copy or on_write):
            array.flags.writeable = False
        return array

    def get_tensor(self, name: str, copy: bool = True) -> Tensor:
        """The tensor of that name; see `get_array`."""
        array = self.get_array(name, copy)
        wide = _WIDEN.get(self._entries[name]["dtype"])
        return wrap(array.astype(wide) if wide is not None else array)  # type: ignore[no-any-return]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __enter__(self) -> safe_open:
        return self

    def __exit__(self, *exc: object) -> None:
        self._bytes = np.zeros(0, np.uint8)


def load_file(filename: str | os.PathLike[str], device: Any = "cpu", *, mmap: bool = False) -> dict[str, Tensor]:
    """All tensors of a file by name. With `mmap`, they are read-only and their pages are read when used. Raises SafetensorError."""
    file = safe_open(filename)
    return {name: file.get_tensor(name, copy=not mmap) for name in file.keys()}  # noqa: SIM118


def load(data: bytes) -> dict[str, Tensor]:
    """All tensors of a file that is in memory. Raises SafetensorError."""
    file = safe_open.of_bytes(data)
    return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def _view(body: Any, entry: dict[str, Any], copy: bool) -> Any:
    begin, end = entry["data_offsets"]
    kind = np.dtype(_NUMPY[entry["dtype"]]).newbyteorder("<")
    raw = body[begin:end]
    if raw.ctypes.data % max(kind.itemsize, 1):  # a writer that does not align
        raw = raw.copy()
    array = np.asarray(raw).view(kind).reshape(entry["shape"])
    if entry["dtype"] == "BF16":  # the upper half of a float32
        return (array.astype(np.uint32) << 16).view(np.float32)
    return array.copy() if copy else array


def _header_length(start: bytes, size: int, name: str) -> int:
    if len(start) < 8:
        raise SafetensorError(f"{name}: not a safetensors file: {size} bytes, expected at least 8 (was it cut off?)")
    n = int.from_bytes(start, "little")
    if n > MAX_HEADER_BYTES:
        raise SafetensorError(
            f"{name}: not a safetensors file: its header would have {n} bytes, the limit is {MAX_HEADER_BYTES}"
        )
    if 8 + n > size:
        raise SafetensorError(
            f"{name}: header of {n} bytes in a file of {size} bytes: it was cut off, or it is not a safetensors file"
        )
    return n


def _parse(text: bytes, body: int, name: str) -> tuple[dict[str, Any], dict[str, str] | None]:
    """The entries in order of their bytes, and the metadata; everything that can be wrong with them is looked for."""

    def fail(what: str) -> SafetensorError:
        return SafetensorError(f"{name}: invalid safetensors header: {what}")

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(pairs)
        if len(result) != len(pairs):
            raise fail("a name appears twice")
        return result

    if not text.startswith(b"{"):
        raise fail("it does not begin with '{'")
    try:
        header = json.loads(text.decode("utf-8"), object_pairs_hook=unique)
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise fail(f"not JSON ({error})") from None
    metadata = header.pop("__metadata__", None)
    if metadata is not None and (
        not isinstance(metadata, dict) or any(not isinstance(v, str) for v in metadata.values())
    ):
        raise fail("__metadata__ must map strings to strings")
    for tensor, entry in header.items():
        problem = _problem(entry)
        if problem:
            raise fail(f"tensor '{tensor}': {problem}")
    ordered = dict(sorted(header.items(), key=lambda item: (item[1]["data_offsets"][0], item[1]["data_offsets"][1])))
    end = 0
    for tensor, entry in ordered.items():
        if entry["data_offsets"][0] != end:
            raise fail(
                f"tensor '{tensor}' begins at byte {entry['data_offsets'][0]}, expected {end}: tensors overlap or leave a gap"
            )
        end = entry["data_offsets"][1]
    if end != body:
        raise SafetensorError(f"{name}: the tensors need {end} bytes, the file has {body}: it was cut off or added to")
    return ordered, metadata


def _problem(entry: Any) -> str | None:
    def is_count(value: Any) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63

    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        return "expected dtype, shape and data_offsets"
    if entry["dtype"] not in _NUMPY:
        return f"dtype {entry['dtype']!r} is not supported; expected one of {', '.join(_NUMPY)}"
    shape, offsets = entry["shape"], entry["data_offsets"]
    if not isinstance(shape, list) or not all(is_count(s) for s in shape):
        return f"shape {shape!r} is not a list of sizes"
    if (
        not isinstance(offsets, list)
        or len(offsets) != 2
        or not all(is_count(o) for o in offsets)
        or offsets[0] > offsets[1]
    ):
        return f"data_offsets {offsets!r} are not [begin, end]"
    needed = math.prod(shape) * np.dtype(_NUMPY[entry["dtype"]]).itemsize
    if offsets[1] - offsets[0] != needed:
        return f"{entry['dtype']} of shape {shape} needs {needed} bytes, the offsets span {offsets[1] - offsets[0]}"
    return None
