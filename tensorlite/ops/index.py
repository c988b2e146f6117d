"""Indexing by slices, integers, masks and integer arrays, and writing through an index."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dtypes import check_fits
from .table import op


def is_basic(index: Any) -> bool:
    """Whether an index consists of ints, slices, None and Ellipsis alone, so that indexing gives a view."""
    items = index if isinstance(index, tuple) else (index,)
    for i in items:  # noqa: SIM110 (a generator takes twice the time, and every index passes here)
        if not (i is None or i is Ellipsis or isinstance(i, (slice, int))):
            return False
    return True


def take_at(x: Any, index: Any) -> Any:
    """`x[index]` as torch means it: integers select first, whatever stands between them and an index array."""
    if is_basic(index):
        items = index if isinstance(index, tuple) else (index,)
        return x[index] if Ellipsis in items else x[(*items, ...)]
    _check_empty_masks(x, index)
    first, second = _two_steps(x, index)
    try:
        taken = (x if first is None else x[first])[second]
    except IndexError as error:
        raise IndexError(_in_torch_words(x, index, str(error))) from None
    return np.asarray(taken, order="C")  # NumPy lays the indexed dims outermost, and then `.view()` would fail


def _two_steps(x: Any, index: Any) -> tuple[Any, Any]:
    """An advanced index as a basic one followed by an advanced one without integers; the former is None where it is not needed."""
    items = index if isinstance(index, tuple) else (index,)
    if not any(isinstance(i, int) or (isinstance(i, np.ndarray) and i.ndim == 0) for i in items):
        return None, index
    first: list[Any] = []
    second: list[Any] = []
    for i in items:
        if isinstance(i, np.ndarray) and i.ndim == 0 and i.dtype == np.bool_:
            first.append(None)
            second.append(i.reshape(1))
        elif isinstance(i, np.ndarray):
            consumed = i.ndim if i.dtype == np.bool_ else 1
            first.extend([slice(None)] * consumed)
            second.append(i)
        elif i is Ellipsis:
            first.append(i)
            second.append(i)
        else:
            first.append(i)
            if not isinstance(i, int):
                second.append(slice(None))
    return tuple(first), tuple(second)


def _check_empty_masks(x: Any, index: Any) -> None:
    """NumPy takes a mask without elements for any dim; torch wants its size to be right."""
    first = index[0] if isinstance(index, tuple) and index else index
    empty = isinstance(first, np.ndarray) and first.dtype == np.bool_ and first.ndim and not first.size
    if empty and first.shape != x.shape[: first.ndim]:
        raise IndexError(_in_torch_words(x, index, "boolean index did not match"))


def _in_torch_words(x: Any, index: Any, message: str) -> str:
    items = index if isinstance(index, tuple) else (index,)
    if message.startswith("boolean index did not match"):
        masks = [i for i in items if isinstance(i, np.ndarray) and i.dtype == np.bool_]
        return f"The shape of the mask {list(masks[0].shape)} at index 0 does not match the shape of the indexed tensor {list(x.shape)} at index 0"
    if message.startswith("too many indices"):
        return f"too many indices for tensor of dimension {x.ndim}"
    return message.replace("axis", "dimension")


@op(view=True, namespaces=())
def getitem(x: Any, index: Any) -> Any:
    """`x[index]`; a view for basic indices, a copy otherwise."""
    return take_at(x, index)


@op(namespaces=(), name="put_at")
def put(values: Any, index: Any, shape: Any) -> Any:
    """Zeros of `shape`, with `values` added in at `index`; where an index occurs twice, both are added."""
    out = np.zeros(shape, values.dtype)
    if is_basic(index):
        out[index] = values
        return out
    first, second = _two_steps(out, index)
    add_at(out if first is None else out[first], second, values)
    return out


def add_at(out: Any, index: Any, values: Any) -> None:
    """`out[index] += values`, with every value added where an index occurs twice."""
    if isinstance(index, np.ndarray) and index.dtype == np.bool_:
        out[index] += values  # a mask names no element twice
        return
    rows = index[0] if isinstance(index, tuple) and len(index) == 1 else index
    if (
        isinstance(rows, np.ndarray)
        and rows.dtype.kind in "iu"
        and out.ndim >= 2
        and rows.size > 16
        and out.flags.c_contiguous
    ):
        # rows of a table: a 1-d add.at over flat positions is some five times faster than over rows
        width = out.size // max(len(out), 1)
        flat = (np.where(rows < 0, rows + len(out), rows).reshape(-1, 1) * width + np.arange(width)).ravel()
        np.add.at(out.reshape(-1), flat, np.ascontiguousarray(values).ravel())
        return
    np.add.at(out, index, values)


getitem.grad(x=lambda g, index, x_shape: put(g, index, x_shape))
put.grad(values=lambda g, index: getitem(g, index))


# -- writing through an index ---------------------------------------------------------------------------------------------


def _number(value: Any, d: Any) -> Any:
    """A Python number as an element of dtype `d`. Raises RuntimeError where it cannot be one."""
    if d.kind in "fc" and not isinstance(value, complex):
        return value
    check_fits(value, d)
    return np.asarray(value).astype(d)


def _writes(x: Any, index: Any, value: Any) -> None:
    if not isinstance(value, np.ndarray):
        value = _number(value, x.dtype)
    shape = getattr(value, "shape", ())
    target = x
    if not is_basic(index):
        _check_empty_masks(x, index)
        first, index = _two_steps(x, index)
        target = x if first is None else x[first]
    try:
        target[index] = value
    except ValueError:
        # torch drops leading dims of size 1 that the value has too many
        if not shape or shape[0] != 1:
            raise _unfitting(target[index].shape, value, is_basic(index)) from None
        _writes(x, index, value.reshape(shape[1:]))
    except IndexError as error:
        raise IndexError(_in_torch_words(x, index, str(error))) from None


def _unfitting(place: tuple[int, ...], value: Any, basic: bool) -> RuntimeError:
    """torch's words for a value that does not broadcast to what an index names: those of `expand` for a basic index."""
    if basic:
        from .shape import expand

        try:
            expand.forward(value, place)
        except RuntimeError as error:
            return error
    return RuntimeError(
        f"shape mismatch: value tensor of shape {list(value.shape)} cannot be broadcast to indexing result of shape {list(place)}"
    )


@op(namespaces=(), broadcasts=True)
def setitem(x: Any, index: Any, value: Any) -> Any:
    """A copy of `x` with `x[index] = value`. Where an index occurs twice the last value stands, and only that one gets a gradient."""
    out = x.copy()
    _writes(out, index, value)
    return out


setitem.writes = _writes


def _value_grad(g: Any, index: Any, x_shape: Any, value_shape: Any) -> Any:
    taken = getitem(g, index)
    if not is_basic(index):
        last = last_writes(take_at(np.arange(_count(x_shape)).reshape(x_shape), index))
        taken = taken if last is None else np.where(last, taken, 0)
    if len(value_shape) > len(taken.shape):  # leading ones that the write dropped
        taken = taken.reshape((1,) * (len(value_shape) - len(taken.shape)) + tuple(taken.shape))
    return taken


def last_writes(ids: Any) -> Any:
    """Which of several writes, in C order, to the elements `ids` is the last to its element; None if no element occurs twice."""
    flat = ids.ravel()
    _, from_end = np.unique(flat[::-1], return_index=True)
    if from_end.size == flat.size:
        return None
    last = np.zeros(flat.size, bool)
    last[flat.size - 1 - from_end] = True
    return last.reshape(ids.shape)


def _count(shape: Any) -> int:
    n = 1
    for s in shape:
        n *= s
    return n


setitem.grad(x=lambda g, index: setitem(g, index, 0), value=_value_grad)


@op(namespaces=(), inplace=True, broadcasts=True)
def index_put(x: Any, indices: Any, values: Any, accumulate: Any = False) -> Any:
    """A copy of `x` with `values` written (or, with `accumulate`, added) at a tuple of index tensors."""
    out = x.copy()
    index = _plain_indices(indices)
    if accumulate:
        np.add.at(out, index, values)
    else:
        _writes(out, index, values)
    return out


def _plain_indices(indices: Any) -> Any:
    return tuple(slice(None) if i is None else np.asarray(i) for i in indices)


index_put.grad(
    x=lambda g, indices, accumulate: g if accumulate else setitem(g, _plain_indices(indices), 0),
    values=lambda g, indices, accumulate, x_shape, values_shape: (
        getitem(g, _plain_indices(indices))
        if accumulate
        else _value_grad(g, _plain_indices(indices), x_shape, values_shape)
    ),
)
