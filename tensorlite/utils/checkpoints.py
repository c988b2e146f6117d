"""`save` and `load`: nested Python values with tensors in them, in a file that holds data and never code.

A file is valid safetensors. The tensors are stored as such; the rest, as JSON, in the metadata: numbers, strings, None, lists, tuples,
dicts with keys of any plain type, arrays, dtypes, bytes, sets, and `OrderedDict` with a state_dict's `_metadata`. A plain state_dict is
stored so that every other reader of safetensors sees the names it expects. Objects of other classes are refused when saving; nothing is unpickled.
"""

from __future__ import annotations

import base64
import json
import math
import os
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Mapping
from typing import Any, BinaryIO

import numpy as np

from ..autograd.graph import wrap
from ..dtypes import dtype, from_numpy_dtype
from ..nn.parameter import Parameter
from ..tensor import Size, Tensor
from . import safetensors
from .safetensors import SafetensorError

_FORMAT = "tensorlite.container"
_PLAIN = (str, bool, int, type(None))


class CheckpointError(SafetensorError):
    """A file is not a checkpoint, or a value cannot be stored in one."""


def save(obj: Any, f: str | os.PathLike[str] | BinaryIO, *args: Any, **kwargs: Any) -> None:
    """Write a value to a path, where it appears complete or not at all, or to an open binary file. Raises CheckpointError naming what cannot be stored."""
    tensors: dict[str, Any] = {}
    skeleton = _Packer(tensors).pack(obj, "")
    metadata = {
        "format": _FORMAT,
        "version": "1",
        "skeleton": json.dumps(skeleton, separators=(",", ":"), allow_nan=False),
    }
    if isinstance(f, str | os.PathLike):
        safetensors.save_file(tensors, f, metadata)
    elif hasattr(f, "write"):
        f.write(safetensors.save(tensors, metadata))
    else:
        raise CheckpointError(f"save() writes to a path or an open binary file, got {type(f).__name__}")


def load(
    f: str | os.PathLike[str] | BinaryIO,
    map_location: Any = None,
    *,
    weights_only: bool = True,
    mmap: bool = False,
    **kwargs: Any,
) -> Any:
    """The value that `save` wrote; for any other safetensors file, its tensors by name. Raises CheckpointError or SafetensorError."""
    is_path = isinstance(f, str | os.PathLike)
    name = os.fspath(f) if is_path else getattr(f, "name", "<file>")  # type: ignore[arg-type]
    if is_path:
        with open(name, "rb") as file:
            first = file.read(10)
    else:
        content = f.read()  # type: ignore[union-attr]
        first = content[:10]
    # the length of a header may begin with the same bytes as a pickle
    if (first[:2] == b"PK" or first[:1] == b"\x80") and first[8:9] != b"{":
        raise CheckpointError(
            f"{name}: a pickled checkpoint, which could run code when read; convert it where it was made: safetensors.torch.save_file(state_dict, path)"
        )
    reader = safetensors.safe_open(name) if is_path else safetensors.safe_open.of_bytes(content, str(name))
    metadata = reader.metadata() or {}
    if metadata.get("format") != _FORMAT:
        return {name: reader.get_tensor(name, copy=not mmap) for name in reader}
    try:
        return _Unpacker(reader, copy=not mmap).unpack(json.loads(metadata["skeleton"]))
    except SafetensorError:
        raise
    except (KeyError, ValueError, TypeError, IndexError, AttributeError, RecursionError) as error:
        raise CheckpointError(
            f"{name}: the description of the stored value is damaged ({type(error).__name__}: {error})"
        ) from None


class _Packer:
    """Turns a value into JSON, and collects its tensors under the path where they were found."""

    def __init__(self, tensors: dict[str, Any]) -> None:
        self.tensors = tensors
        self.names: dict[int, str] = {}
        self.alive: list[Any] = []  # ids stay valid while the objects live

    def pack(self, value: Any, path: str) -> Any:
        if isinstance(value, _PLAIN) and type(value) in _PLAIN:
            return value
        if isinstance(value, Tensor):
            return {
                "!": "parameter" if isinstance(value, Parameter) else "tensor",
                "v": self._store(value, value._data, path),
                "g": value._rg,
            }
        if isinstance(value, np.ndarray):
            return {"!": "array", "v": self._store(value, value, path)}
        pack = _PACKERS.get(type(value))
        if pack is not None:
            return pack(self, value, path)
        if isinstance(value, np.generic):
            return {"!": "scalar", "v": self._store(value, np.asarray(value), path)}
        raise CheckpointError(
            f"cannot store a {type(value).__module__}.{type(value).__name__} at '{path or '(top)'}': a checkpoint holds tensors, arrays, numbers, strings, "
            "lists, tuples, sets and dicts; store an object's state_dict() instead of the object"
        )

    def _store(self, owner: Any, array: Any, path: str) -> str | dict[str, str]:
        if array.dtype.kind == "c" and array.dtype.itemsize == 16:
            pair = np.ascontiguousarray(array).reshape(*array.shape, 1).view(np.float64)
            return {"complex": self._store(owner, pair, path)}  # type: ignore[dict-item]
        if id(owner) in self.names:
            return self.names[id(owner)]
        name = path or "value"
        while name in self.tensors or name == "__metadata__":
            name += "_"
        self.tensors[name] = array
        self.names[id(owner)] = name
        self.alive.append(owner)
        return name

    def items(self, value: Any, path: str) -> list[Any]:
        return [self.pack(v, f"{path}.{i}" if path else str(i)) for i, v in enumerate(value)]

    def mapping(self, value: Mapping[Any, Any], path: str) -> Any:
        if all(type(k) is str for k in value) and "!" not in value:
            return {k: self.pack(v, f"{path}.{k}" if path else k) for k, v in value.items()}
        pairs = [
            [self.pack(k, f"{path}.key{i}"), self.pack(v, f"{path}.{k}" if path else str(k))]
            for i, (k, v) in enumerate(value.items())
        ]
        return {"!": "dict", "v": pairs}


def _pack_float(p: _Packer, value: float, path: str) -> Any:
    return value if math.isfinite(value) else {"!": "float", "v": repr(value)}


def _pack_ordered(p: _Packer, value: Any, path: str) -> Any:
    packed = {"!": "ordered", "v": p.mapping(dict(value), path)}
    if hasattr(value, "_metadata"):
        packed["m"] = p.mapping(dict(value._metadata), f"{path}._metadata")
    return packed


_PACKERS: dict[type, Any] = {
    float: _pack_float,
    complex: lambda p, v, path: {"!": "complex", "v": [_pack_float(p, v.real, path), _pack_float(p, v.imag, path)]},
    list: lambda p, v, path: p.items(v, path),
    tuple: lambda p, v, path: {"!": "tuple", "v": p.items(v, path)},
    Size: lambda p, v, path: {"!": "size", "v": list(v)},
    set: lambda p, v, path: {"!": "set", "v": p.items(sorted(v, key=repr), path)},
    dict: lambda p, v, path: p.mapping(v, path),
    defaultdict: lambda p, v, path: p.mapping(v, path),
    OrderedDict: _pack_ordered,
    Counter: lambda p, v, path: {"!": "counter", "v": p.mapping(dict(v), path)},
    bytes: lambda p, v, path: {"!": "bytes", "v": base64.b64encode(v).decode()},
    dtype: lambda p, v, path: {"!": "dtype", "v": v.name},
}


class _Unpacker:
    """The way back."""

    def __init__(self, reader: safetensors.safe_open, copy: bool) -> None:
        self.reader, self.copy = reader, copy
        self.made: dict[tuple[str, str], Any] = {}

    def unpack(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self.unpack(v) for v in value]
        if not isinstance(value, dict):
            return value
        kind = value.get("!")
        if kind is None:
            return {k: self.unpack(v) for k, v in value.items()}
        return self._special(kind, value)

    def _special(self, kind: str, value: dict[str, Any]) -> Any:
        v = value["v"]
        if kind in ("tensor", "parameter", "array", "scalar"):
            return self._stored(kind, v, bool(value.get("g")))
        if kind == "ordered":
            result = OrderedDict(self.unpack(v))
            if "m" in value:
                result._metadata = OrderedDict(self.unpack(value["m"]))  # type: ignore[attr-defined]
            return result
        if kind == "dict":
            return {_key(self.unpack(k)): self.unpack(x) for k, x in v}
        if kind == "float":
            return {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}[v]
        if kind == "complex":
            return complex(*(self.unpack(x) for x in v))
        if kind == "bytes":
            return base64.b64decode(v, validate=True)
        if kind == "dtype":
            return from_numpy_dtype(np.dtype(v))
        makers = {"tuple": tuple, "set": set, "size": Size, "counter": Counter}
        if kind not in makers:
            raise CheckpointError(
                f"{self.reader.filename}: unknown kind of value '{kind}': written by a newer version?"
            )
        return makers[kind](self.unpack(v))

    def _stored(self, kind: str, where: Any, requires_grad: bool) -> Any:
        known = (kind, repr(where))
        if known in self.made:
            return self.made[known]
        if isinstance(where, dict):
            pair = self.reader.get_array(where["complex"])
            array = pair.view(np.complex128).reshape(pair.shape[:-1])
        else:
            array = self.reader.get_array(where, self.copy)
        if kind == "scalar":
            result: Any = array[()]
        elif kind == "array":
            result = array
        elif kind == "parameter":
            result = Parameter(wrap(array), requires_grad)
        else:
            result = wrap(array)
            if requires_grad:
                result.requires_grad = True
        self.made[known] = result
        return result


def _key(key: Any) -> Any:
    return tuple(key) if isinstance(key, list) else key
