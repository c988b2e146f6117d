"""Functions composed of ops that give a tensor another shape, or a view of a part of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..autograd.record import apply
from ..errors import check_dim
from ..ops import index as ix
from ..ops import rearrange, shape
from .tensor import Tensor

Sizes = int | Sequence[int]


def spread(args: tuple[Any, ...]) -> Any:
    """`f(2, 3)` and `f((2, 3))` alike."""
    return args[0] if len(args) == 1 and isinstance(args[0], list | tuple) else args


def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """The dims from `start_dim` to `end_dim` as one; a 0-d tensor becomes 1-d."""
    start, end = check_dim(start_dim, input.ndim), check_dim(end_dim, input.ndim)
    if not input.ndim:
        return apply(shape.reshape, (input, (1,)))  # type: ignore[no-any-return]
    if start > end:
        raise RuntimeError("flatten() has invalid args: start_dim cannot come after end_dim")
    if start == end:
        return input
    sizes = input._data.shape
    middle = math.prod(sizes[start : end + 1])
    return apply(shape.reshape, (input, (*sizes[:start], middle, *sizes[end + 1 :])))  # type: ignore[no-any-return]


def ravel(input: Tensor) -> Tensor:
    """`input` as one row."""
    return apply(shape.reshape, (input, (-1,) if input.numel() else (0,)))  # type: ignore[no-any-return]


def view_as(self: Tensor, other: Tensor) -> Tensor:
    """`self.view(other.size())`."""
    return apply(shape.view, (self, other._data.shape))  # type: ignore[no-any-return]


def reshape_as(self: Tensor, other: Tensor) -> Tensor:
    """`self.reshape(other.size())`."""
    return apply(shape.reshape, (self, other._data.shape))  # type: ignore[no-any-return]


def expand_as(self: Tensor, other: Tensor) -> Tensor:
    """`self.expand(other.size())`."""
    return apply(shape.expand, (self, other._data.shape))  # type: ignore[no-any-return]


def broadcast_to(input: Tensor, size: Sizes) -> Tensor:
    """`input.expand(size)`."""
    return apply(shape.expand, (input, (size,) if isinstance(size, int) else tuple(size)))  # type: ignore[no-any-return]


def broadcast_tensors(*tensors: Any) -> tuple[Tensor, ...]:
    """The tensors expanded to their common shape."""
    items = spread(tensors)
    common = broadcast_shapes(*(t._data.shape for t in items))
    return tuple(apply(shape.expand, (t, common)) for t in items)


def broadcast_shapes(*shapes: Any) -> tuple[int, ...]:
    """The shape to which all the given shapes broadcast. Raises RuntimeError if there is none."""
    from .size import Size

    try:
        return Size(np.broadcast_shapes(*(tuple(s) if not isinstance(s, int) else s for s in shapes)))
    except ValueError:
        raise RuntimeError(
            f"Shape mismatch: objects cannot be broadcast to a single shape: {', '.join(str(list(s)) for s in shapes)}"
        ) from None


def swapaxes(input: Tensor, axis0: int, axis1: int) -> Tensor:
    """`input` with two dims swapped."""
    return apply(shape.transpose, (input, axis0, axis1))  # type: ignore[no-any-return]


def swapdims(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """`input` with two dims swapped."""
    return apply(shape.transpose, (input, dim0, dim1))  # type: ignore[no-any-return]


def moveaxis(input: Tensor, source: Any, destination: Any) -> Tensor:
    """`input` with dims moved; `movedim` by NumPy's name."""
    return apply(shape.movedim, (input, source, destination))  # type: ignore[no-any-return]


def t(input: Tensor) -> Tensor:
    """The transpose of a matrix; of 0-d and 1-d tensors a view."""
    if input.ndim > 2:
        raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {input.ndim}D")
    return apply(shape.transpose, (input, 0, 1 if input.ndim == 2 else 0))  # type: ignore[no-any-return]


def numpy_t(self: Tensor) -> Tensor:
    """All dims in reverse order."""
    return apply(shape.permute, (self, tuple(range(self.ndim))[::-1]))  # type: ignore[no-any-return]


def matrix_t(self: Tensor) -> Tensor:
    """The last two dims swapped."""
    if not self.ndim:
        return self
    if self.ndim < 2:
        raise RuntimeError(f"tensor.mT is only supported on matrices or batches of matrices. Got {self.ndim}-D tensor.")
    return apply(shape.transpose, (self, -2, -1))  # type: ignore[no-any-return]


def hermitian(self: Tensor) -> Tensor:
    if self.ndim not in (0, 2):
        raise RuntimeError(f"tensor.H is only supported on matrices (2-D tensors). Got {self.ndim}-D tensor.")
    return _conjugated(t(self))


def _conjugated(x: Tensor) -> Tensor:
    return x.conj() if x._data.dtype.kind == "c" else x


def adjoint(input: Tensor) -> Tensor:
    """The conjugate transpose of the matrices in the last two dims."""
    if input.ndim == 1:
        raise RuntimeError(
            f"tensor.adjoint() is only supported on matrices or batches of matrices. Got {input.ndim}-D tensor."
        )
    return _conjugated(matrix_t(input))


def atleast_1d(*tensors: Any) -> Any:
    """Each tensor with at least one dim."""
    return _each(tensors, lambda x: apply(shape.reshape, (x, (1,))) if x.ndim == 0 else x)


def atleast_2d(*tensors: Any) -> Any:
    """Each tensor with at least two dims; a row gets a first dim."""
    return _each(tensors, lambda x: x if x.ndim > 1 else apply(shape.reshape, (x, (1, -1) if x.numel() else (1, 0))))


def atleast_3d(*tensors: Any) -> Any:
    """Each tensor with at least three dims; a matrix gets a last one."""

    def one(x: Tensor) -> Tensor:
        sizes = x._data.shape
        target = {0: (1, 1, 1), 1: (1, *sizes, 1), 2: (*sizes, 1)}.get(x.ndim)
        return x if target is None else apply(shape.reshape, (x, target))

    return _each(tensors, one)


def _each(tensors: tuple[Any, ...], function: Callable[[Tensor], Tensor]) -> Any:
    if len(tensors) == 1 and isinstance(tensors[0], Tensor):
        return function(tensors[0])
    return tuple(function(x) for x in spread(tensors))


def contiguous(self: Tensor, memory_format: Any = None) -> Tensor:
    """The tensor itself if its elements lie in order, else a copy in which they do."""
    return self if self._data.flags.c_contiguous else apply(shape.clone, (self, "contiguous_format"))


def is_contiguous(self: Tensor, memory_format: Any = None) -> bool:
    """Whether the elements lie in memory in order."""
    return bool(self._data.flags.c_contiguous)


def narrow(input: Tensor, dim: int, start: Any, length: int) -> Tensor:
    """`length` slices along `dim`, from `start` on; a view."""
    if not input.ndim:
        raise RuntimeError("narrow() cannot be applied to a 0-dim tensor.")
    if isinstance(start, Tensor) and (start.ndim or start._data.dtype.kind not in "iu"):
        raise RuntimeError("start must be an 0-dim integral Tensor.")
    d, begin = check_dim(dim, input.ndim), int(start)
    size = input._data.shape[d]
    if length < 0:
        raise RuntimeError("narrow(): length must be non-negative.")
    if not -size <= begin <= size:
        raise IndexError(f"start out of range (expected to be in range of [-{size}, {size}], but got {begin})")
    begin += size if begin < 0 else 0
    if begin + length > size:
        raise RuntimeError(f"start ({begin}) + length ({length}) exceeds dimension size ({size}).")
    return apply(ix.getitem, (input, (*(slice(None),) * d, slice(begin, begin + length))))  # type: ignore[no-any-return]


def narrow_copy(input: Tensor, dim: int, start: int, length: int) -> Tensor:
    """`narrow` with memory of its own."""
    return apply(shape.clone, (narrow(input, dim, start, length),))  # type: ignore[no-any-return]


def select(input: Tensor, dim: int, index: Any) -> Tensor:
    """The slice at one position along `dim`, without that dim; a view."""
    if not input.ndim:
        raise IndexError("select() cannot be applied to a 0-dim tensor.")
    d, i = check_dim(dim, input.ndim), int(index)
    size = input._data.shape[d]
    if not -size <= i < size:
        raise IndexError(
            f"select(): index {i} out of range for tensor of size {list(input._data.shape)} at dimension {d}"
        )
    return apply(ix.getitem, (input, (*(slice(None),) * d, i)))  # type: ignore[no-any-return]


def tile(input: Tensor, *dims: Any) -> Tensor:
    """Copies of `input` side by side; missing leading counts are 1."""
    times = tuple(spread(dims)) if not isinstance(dims, int) else (dims,)
    return apply(rearrange.repeat, (input, (1,) * (input.ndim - len(times)) + times))  # type: ignore[no-any-return]


def fliplr(input: Tensor) -> Tensor:
    """The columns in reverse order. Raises RuntimeError for fewer than two dims."""
    if input.ndim < 2:
        raise RuntimeError("Input must be >= 2-d.")
    return apply(rearrange.flip, (input, (1,)))  # type: ignore[no-any-return]


def flipud(input: Tensor) -> Tensor:
    """The rows in reverse order. Raises RuntimeError for a 0-d tensor."""
    if input.ndim < 1:
        raise RuntimeError("Input must be >= 1-d.")
    return apply(rearrange.flip, (input, (0,)))  # type: ignore[no-any-return]


def rot90(input: Tensor, k: int = 1, dims: Sequence[int] = (0, 1)) -> Tensor:
    """`input` turned by `k` quarter turns in the plane of two dims, from the first towards the second."""
    if len(dims) != 2:
        raise RuntimeError(f"expected total rotation dims == 2, but got dims = {len(dims)}")
    if input.ndim < 2:
        raise RuntimeError(f"expected total dims >= 2, but got total dims = {input.ndim}")
    if dims[0] == dims[1] or abs(dims[0] - dims[1]) == input.ndim:
        raise RuntimeError(f"expected rotation dims to be different, but got dim0 = {dims[0]} and dim1 = {dims[1]}")
    a, b = (check_dim(d, input.ndim) for d in dims)
    turns = k % 4
    if turns == 0:
        return apply(shape.clone, (input,))  # type: ignore[no-any-return]
    if turns == 2:
        return apply(rearrange.flip, (input, (a, b)))  # type: ignore[no-any-return]
    flipped = apply(rearrange.flip, (input, (b if turns == 1 else a,)))
    return apply(shape.clone, (apply(shape.transpose, (flipped, a, b)),))  # type: ignore[no-any-return]
