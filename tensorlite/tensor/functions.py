"""torch functions and Tensor methods that are compositions of ops, about shapes and indexing.

`EXPORTS` lists them: name -> (function, whether it is also a Tensor method). `tensor.namespace` puts them into the `tensorlite` namespace and
on Tensor. A name that ends in an underscore is a method alone. `PROPERTIES` are attributes of Tensor: name -> function of the tensor.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..autograd.graph import wrap
from ..autograd.inplace import apply_inplace
from ..autograd.record import apply
from ..errors import check_dim
from ..ops import gather as g
from ..ops import index as ix
from ..ops import join, rearrange, shape
from ..ops.compare import where as where_op
from .tensor import Tensor

Sizes = int | Sequence[int]


def _spread(args: tuple[Any, ...]) -> Any:
    """`f(2, 3)` and `f((2, 3))` alike."""
    return args[0] if len(args) == 1 and isinstance(args[0], list | tuple) else args


# -- shapes ---------------------------------------------------------------------------------------------------------------


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
    items = _spread(tensors)
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


def _numpy_t(self: Tensor) -> Tensor:
    """All dims in reverse order."""
    return apply(shape.permute, (self, tuple(range(self.ndim))[::-1]))  # type: ignore[no-any-return]


def _matrix_t(self: Tensor) -> Tensor:
    """The last two dims swapped."""
    if not self.ndim:
        return self
    if self.ndim < 2:
        raise RuntimeError(f"tensor.mT is only supported on matrices or batches of matrices. Got {self.ndim}-D tensor.")
    return apply(shape.transpose, (self, -2, -1))  # type: ignore[no-any-return]


def _hermitian(self: Tensor) -> Tensor:
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
    return _conjugated(_matrix_t(input))


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
    return tuple(function(x) for x in _spread(tensors))


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
    times = tuple(_spread(dims)) if not isinstance(dims, int) else (dims,)
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


# -- joining and splitting ------------------------------------------------------------------------------------------------


def concat(tensors: Sequence[Tensor], dim: int = 0, *, axis: int | None = None, out: Any = None) -> Tensor:
    """`cat` by another name."""
    return apply(join.cat, (tensors, dim if axis is None else axis))  # type: ignore[no-any-return]


def hstack(tensors: Sequence[Tensor]) -> Tensor:
    """The tensors one after another along dim 1 (dim 0 for 1-d ones)."""
    items = atleast_1d(*tensors) if len(tensors) != 1 else (atleast_1d(tensors[0]),)
    return apply(join.cat, (items, 0 if items[0].ndim == 1 else 1))  # type: ignore[no-any-return]


def vstack(tensors: Sequence[Tensor]) -> Tensor:
    """The tensors one below the other."""
    return apply(join.cat, (tuple(atleast_2d(x) for x in tensors), 0))  # type: ignore[no-any-return]


def dstack(tensors: Sequence[Tensor]) -> Tensor:
    """The tensors one behind the other, along dim 2."""
    return apply(join.cat, (tuple(atleast_3d(x) for x in tensors), 2))  # type: ignore[no-any-return]


def column_stack(tensors: Sequence[Tensor]) -> Tensor:
    """1-d tensors as columns, 2-d ones as they are, side by side."""
    items = tuple(apply(shape.reshape, (x, (x.numel(), 1))) if x.ndim <= 1 else x for x in tensors)
    return hstack(items)


def _splitter(name: str, dim_of: Callable[[Tensor], int], least: int) -> Callable[..., Any]:
    def function(input: Tensor, *args: Any, **kwargs: Any) -> Any:
        if input.ndim < least:
            raise RuntimeError(
                f"torch.{name} requires a tensor with at least {least} dimension{'s' if least > 1 else ''}, but got a tensor with {input.ndim} dimensions!"
            )
        cuts = kwargs.get(
            "indices_or_sections", kwargs.get("sections", kwargs.get("indices", args[0] if len(args) == 1 else args))
        )
        d = dim_of(input)
        if isinstance(cuts, int) and (cuts <= 0 or input._data.shape[d] % cuts):
            raise RuntimeError(
                f"torch.{name} attempted to split along dimension {d}, but the size of the dimension {input._data.shape[d]} is not divisible by the split_size {cuts}!"
            )
        return apply(join.tensor_split, (input, cuts, d))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"`tensor_split` along the dim that {name} is named after."
    return function


hsplit = _splitter("hsplit", lambda x: 0 if x.ndim == 1 else 1, 1)
vsplit = _splitter("vsplit", lambda x: 0, 2)
dsplit = _splitter("dsplit", lambda x: 2, 3)


def unsafe_split(input: Tensor, split_size: int, dim: int = 0) -> Any:
    """`split`; the pieces are views here as well, and as well guarded."""
    return apply(join.split, (input, split_size, dim))


def unsafe_chunk(input: Tensor, chunks: int, dim: int = 0) -> Any:
    """`chunk`; the pieces are views here as well, and as well guarded."""
    return apply(join.chunk, (input, chunks, dim))


def block_diag(*tensors: Any) -> Tensor:
    """The matrices along the diagonal of one matrix of zeros."""
    rows = []
    matrices = [atleast_2d(x) for x in (tensors or (wrap(np.zeros((1, 0), np.float32)),))]
    for x in matrices:
        if x.ndim != 2:
            raise RuntimeError(
                f"torch.block_diag: Input tensors must have 2 or fewer dimensions. Input has {x.ndim} dimensions"
            )
    total = sum(x._data.shape[1] for x in matrices)
    start = 0
    for x in matrices:
        width = x._data.shape[1]
        rows.append(apply(rearrange.constant_pad, (x, (start, total - start - width), 0)))
        start += width
    return apply(join.cat, (rows, 0))  # type: ignore[no-any-return]


def meshgrid(*tensors: Any, indexing: str = "ij") -> tuple[Tensor, ...]:
    """Coordinates of a grid: each 1-d tensor expanded along the dims of the others. `indexing` is "ij" or "xy"."""
    items = [apply(shape.reshape, (x, (1,))) if x.ndim == 0 else x for x in _spread(tensors)]
    if indexing not in ("ij", "xy"):
        raise RuntimeError(f'torch.meshgrid: indexing must be one of "xy" or "ij", but received: {indexing}')
    for x in items:
        if x.ndim != 1:
            raise RuntimeError(
                f"torch.meshgrid: Expected 0D or 1D tensor in the tensor list but got: {list(x._data.shape)}"
            )
    swap = indexing == "xy" and len(items) > 1
    if swap:
        items[0], items[1] = items[1], items[0]
    sizes = tuple(x.numel() for x in items)
    grids = []
    for i, x in enumerate(items):
        row = apply(shape.reshape, (x, (1,) * i + (sizes[i],) + (1,) * (len(sizes) - i - 1)))
        grids.append(apply(shape.expand, (row, sizes)))
    if swap:
        grids[0], grids[1] = grids[1], grids[0]
    return tuple(grids)


def cartesian_prod(*tensors: Any) -> Tensor:
    """Every combination of one element of each 1-d tensor, one a row."""
    items = _spread(tensors)
    if len(items) == 1:
        return items[0]  # type: ignore[no-any-return]
    return apply(join.stack, ([ravel(x) for x in meshgrid(*items)], 1))  # type: ignore[no-any-return]


def combinations(input: Tensor, r: int = 2, with_replacement: bool = False) -> Tensor:
    """Every choice of `r` elements of a 1-d tensor, one a row."""
    if input.ndim != 1:
        raise RuntimeError(f"Expect a 1D vector, but got shape {list(input._data.shape)}")
    if r < 0:
        raise RuntimeError(f"Expect a non-negative number, but got {r}")
    if r == 0:
        return wrap(np.empty(0, input._data.dtype))  # type: ignore[no-any-return]
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    picks = np.array(list(choose(range(input.numel()), r)), np.int64).reshape(-1, r)
    return apply(g.take, (input, picks))  # type: ignore[no-any-return]


# -- diagonals, triangles -------------------------------------------------------------------------------------------------


def diag(input: Tensor, diagonal: int = 0) -> Tensor:
    """The diagonal of a matrix, or the matrix with a 1-d tensor on its diagonal."""
    if input.ndim not in (1, 2):
        raise RuntimeError(f"diag(): Supports 1D or 2D tensors. Got {input.ndim}D")
    if input.ndim == 1:
        return apply(shape.diag_embed, (input, diagonal))  # type: ignore[no-any-return]
    return apply(shape.clone, (apply(shape.diagonal, (input, diagonal)),))  # type: ignore[no-any-return]


def diagflat(input: Tensor, offset: int = 0) -> Tensor:
    """The matrix with the elements of `input` on a diagonal."""
    return apply(shape.diag_embed, (ravel(input), offset))  # type: ignore[no-any-return]


def diagonal_copy(input: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """`diagonal` with memory of its own."""
    return apply(shape.clone, (apply(shape.diagonal, (input, offset, dim1, dim2)),))  # type: ignore[no-any-return]


def _triangle(name: str, choose: Callable[..., Any]) -> Callable[..., Tensor]:
    def indices(
        row: int, col: int, offset: int = 0, *, dtype: Any = None, device: Any = None, layout: Any = None
    ) -> Tensor:
        from ..dtypes import to_numpy_dtype

        if row < 0 or col < 0:
            raise RuntimeError(f"{'row' if row < 0 else 'col'} must be non-negative, got {row if row < 0 else col}")
        found = np.array(choose(row, offset, col)).reshape(2, -1)
        return wrap(found.astype(np.int64 if dtype is None else to_numpy_dtype(dtype)))  # type: ignore[no-any-return]

    indices.__name__ = indices.__qualname__ = name
    indices.__doc__ = f"Rows and columns of the {'lower' if name[3] == 'l' else 'upper'} triangle of a `(row, col)` matrix, shape `(2, n)`."
    return indices


tril_indices = _triangle("tril_indices", np.tril_indices)
triu_indices = _triangle("triu_indices", np.triu_indices)


def vander(x: Tensor, N: int | None = None, increasing: bool = False) -> Tensor:
    """The Vandermonde matrix of a 1-d tensor: its powers as columns, falling unless `increasing`."""
    if x.ndim != 1:
        raise RuntimeError("x must be a one-dimensional tensor.")
    n = x.numel() if N is None else N
    if n < 0:
        raise RuntimeError("N must be non-negative.")
    integral = x._data.dtype.kind in "biu"
    column = apply(shape.unsqueeze, (x.to(dtype=np.int64) if integral else x, 1))
    powers = np.arange(n) if increasing else np.arange(n)[::-1]
    columns = [wrap(np.ones((x.numel(), 1), column._data.dtype)) if p == 0 else column ** int(p) for p in powers]
    return concat(columns, 1) if columns else wrap(np.empty((x.numel(), 0), column._data.dtype))


def trapezoid(y: Tensor, x: Tensor | None = None, *, dx: Any = 1, dim: int = -1) -> Tensor:
    """Integral of `y` along `dim` by the trapezoidal rule, at the points `x` or at distance `dx`."""
    return _areas(y, x, dx, dim).sum(dim)  # type: ignore[no-any-return]


def cumulative_trapezoid(y: Tensor, x: Tensor | None = None, *, dx: Any = 1, dim: int = -1) -> Tensor:
    """Running integral of `y` along `dim` by the trapezoidal rule."""
    return _areas(y, x, dx, dim).cumsum(dim)  # type: ignore[no-any-return]


def _areas(y: Tensor, x: Tensor | None, dx: Any, dim: int) -> Tensor:
    d = check_dim(dim, y.ndim)
    n = y._data.shape[d]
    heights = narrow(y, d, 0, max(n - 1, 0)) + narrow(y, d, min(n, 1), max(n - 1, 0))
    if x is None:
        return heights * (dx / 2)  # type: ignore[no-any-return]
    if x.ndim == 1:
        width = x[1:] - x[:-1]
        if width.numel() != n - 1:
            raise RuntimeError("trapezoid: There must be one `x` value for each sample point")
        return heights * apply(shape.reshape, (width, (-1,) + (1,) * (y.ndim - d - 1))) / 2  # type: ignore[no-any-return]
    e = d - y.ndim
    m = x._data.shape[e]
    widths = narrow(x, e, 1, m - 1) - narrow(x, e, 0, m - 1)
    return heights * widths / 2


# -- indexing -------------------------------------------------------------------------------------------------------------


def _scatter_arguments(
    dim: int, index: Any, src: Any, value: Any, reduce: Any, x: Tensor
) -> tuple[Any, tuple[Any, ...]]:
    source = value if src is None else src
    if reduce is None:
        return g.scatter_write, (dim, index, source)
    if reduce not in ("add", "multiply"):
        raise RuntimeError("reduce argument must be either add or multiply.")
    if not isinstance(source, Tensor):
        source = wrap(np.full(index._data.shape, source, x._data.dtype))
    return g.scatter_reduce, (dim, index, source, "sum" if reduce == "add" else "prod", True)


def scatter(
    input: Tensor, dim: int, index: Tensor, src: Any = None, value: Any = None, *, reduce: str | None = None
) -> Tensor:
    """`input` with `src` (a tensor, or one number) written at `index` along `dim`; `reduce` is None, "add" or "multiply"."""
    op, args = _scatter_arguments(dim, index, src, value, reduce, input)
    return apply(op, (input, *args))  # type: ignore[no-any-return]


def scatter_(
    self: Tensor, dim: int, index: Tensor, src: Any = None, value: Any = None, *, reduce: str | None = None
) -> Tensor:
    """`scatter` in place."""
    op, args = _scatter_arguments(dim, index, src, value, reduce, self)
    return apply_inplace(op, self, args)  # type: ignore[no-any-return]


def _index_arrays(indices: Sequence[Any]) -> tuple[Any, ...]:
    arrays = tuple(i._data if isinstance(i, Tensor) else i for i in indices)
    for a in arrays:
        if a is not None and (a.dtype.kind not in "biu" or a.dtype in (np.int8, np.int16)):
            raise IndexError("tensors used as indices must be long, int, byte or bool tensors")
    return tuple(a.astype(bool) if a is not None and a.dtype == np.uint8 else a for a in arrays)


def index_put(input: Tensor, indices: Sequence[Any], values: Tensor, accumulate: bool = False) -> Tensor:
    """`input` with `values` written, or added, at the positions that a tuple of index tensors names."""
    return apply(ix.index_put, (input, _index_arrays(indices), _like(values, input), accumulate))  # type: ignore[no-any-return]


def index_put_(self: Tensor, indices: Sequence[Any], values: Tensor, accumulate: bool = False) -> Tensor:
    """`index_put` in place."""
    return apply_inplace(ix.index_put, self, (_index_arrays(indices), _like(values, self), accumulate))  # type: ignore[no-any-return]


def _like(values: Tensor, x: Tensor) -> Tensor:
    if values._data.dtype != x._data.dtype:
        raise RuntimeError(
            f"Index put requires the source and destination dtypes match, got {x.dtype} for the destination and {values.dtype} for the source."
        )
    return values


def index_reduce(
    input: Tensor, dim: int, index: Tensor, source: Tensor, reduce: str, *, include_self: bool = True
) -> Tensor:
    """Slices of `source` reduced into those of `input` that a 1-d index names: "prod", "mean", "amax" or "amin"."""
    if reduce not in ("prod", "mean", "amax", "amin"):
        raise RuntimeError(f"reduce argument must be either prod, mean, amax or amin, got {reduce}.")
    if not input.ndim:
        return apply(g.scatter_reduce, (input, 0, index, source, reduce, include_self))  # type: ignore[no-any-return]
    d = check_dim(dim, input.ndim)
    spread = index._data.reshape((-1,) + (1,) * (input.ndim - d - 1))
    return apply(  # type: ignore[no-any-return]
        g.scatter_reduce, (input, d, np.broadcast_to(spread, source._data.shape), source, reduce, include_self)
    )


def select_scatter(input: Tensor, src: Tensor, dim: int, index: int) -> Tensor:
    """`input` with the slice at one position along `dim` replaced by `src`."""
    d = check_dim(dim, input.ndim)
    target = select(input, dim, index)
    return _with_region(input, src, (*(slice(None),) * d, int(index)), target._data.shape)


def slice_scatter(
    input: Tensor, src: Tensor, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Tensor:
    """`input` with the slice `start:end:step` along `dim` replaced by `src`."""
    region = (*(slice(None),) * check_dim(dim, input.ndim), slice(start, end, step))
    return _with_region(input, src, region, input._data[region].shape)


def _with_region(input: Tensor, src: Tensor, region: Any, sizes: tuple[int, ...]) -> Tensor:
    if src._data.shape != sizes:
        raise RuntimeError(
            f"expected src to have a size equal to the slice of self. src size = {list(src._data.shape)}, slice size = {list(sizes)}"
        )
    return apply(ix.setitem, (input, region, src))  # type: ignore[no-any-return]


def where(condition: Tensor, input: Any = None, other: Any = None) -> Any:
    """`input` where `condition` holds, else `other`; with `condition` alone, the indices of its nonzero elements."""
    if input is None and other is None:
        return tuple(wrap(i.astype(np.int64)) for i in np.nonzero(np.atleast_1d(condition._data)))
    return apply(where_op, (condition, input, other))


def _where_method(self: Any, *args: Any, **kwargs: Any) -> Any:
    """`self` where `condition` holds, else `other`."""
    condition = args[0] if args else kwargs["condition"]
    other = args[1] if len(args) > 1 else kwargs["other"]
    return where(condition, self, other)


def fill(input: Tensor, value: Any) -> Tensor:
    """A tensor like `input` with every element `value`, a number or a 0-d tensor."""
    return apply(g.masked_fill, (input, np.ones((), bool), _zero_dim(value)))  # type: ignore[no-any-return]


def _zero_dim(value: Any) -> Any:
    if isinstance(value, Tensor) and value.ndim:
        raise RuntimeError(f"fill_ only supports 0-dimension value tensor but got tensor with {value.ndim} dimensions.")
    return value


def fill_(self: Tensor, value: Any) -> Tensor:
    """Set every element to `value`."""
    return apply_inplace(ix.setitem, self, (..., _zero_dim(value)))  # type: ignore[no-any-return]


def zero_(self: Tensor) -> Tensor:
    """Set every element to 0."""
    return apply_inplace(ix.setitem, self, (..., 0))  # type: ignore[no-any-return]


def copy_(self: Tensor, src: Any, non_blocking: bool = False) -> Tensor:
    """Write the values of `src`, broadcast and cast, into this tensor."""
    source = src if isinstance(src, Tensor | int | float | complex) else wrap(np.asarray(src))
    if isinstance(source, Tensor) and source._data.dtype != self._data.dtype:
        source = source.to(dtype=self._data.dtype)
    return apply_inplace(ix.setitem, self, (..., source))  # type: ignore[no-any-return]


def fill_diagonal_(self: Tensor, fill_value: float, wrap: bool = False) -> Tensor:
    """Set the main diagonal to one number; with `wrap`, again below the last row of a tall matrix."""
    if self.ndim < 2:
        raise RuntimeError("dimensions must larger than 1")
    sizes = self._data.shape
    if self.ndim > 2 and len(set(sizes)) != 1:
        raise RuntimeError("all dimensions of input must be of equal length")
    mask = np.zeros(sizes, bool)
    np.fill_diagonal(mask, True, wrap=wrap and self.ndim == 2)
    return apply_inplace(g.masked_fill, self, (mask, fill_value))  # type: ignore[no-any-return]


def argwhere(input: Tensor) -> Tensor:
    """The indices of the nonzero elements, one a row."""
    return wrap(np.argwhere(input._data).astype(np.int64))  # type: ignore[no-any-return]


def to_sparse(self: Tensor, sparse_dim: int | None = None, *, layout: Any = None) -> Tensor:
    """The elements that are not zero and their positions, as a sparse tensor (COO)."""
    from .sparse import from_dense

    return from_dense(self, sparse_dim, layout=layout)


def to_dense(self: Tensor, dtype: Any = None, *, masked_grad: Any = None) -> Tensor:
    """The tensor itself; a sparse one with its zeros written out."""
    return self if dtype is None else self.to(dtype)


_BOTH: list[Callable[..., Any]] = [
    adjoint, argwhere, broadcast_to, contiguous, copy_, cumulative_trapezoid, diag, diagflat, dsplit, expand_as, fill, fill_,
    fill_diagonal_, flatten, fliplr, flipud, hsplit, index_put, index_put_, index_reduce, is_contiguous, moveaxis, narrow, narrow_copy,
    ravel, reshape_as, rot90, scatter, scatter_, select, select_scatter, slice_scatter, swapaxes, swapdims, t, tile, unsafe_chunk,
    unsafe_split, view_as, vsplit, zero_,
]  # fmt: skip
_FUNCTIONS: list[Callable[..., Any]] = [
    atleast_1d, atleast_2d, atleast_3d, block_diag, broadcast_shapes, broadcast_tensors, cartesian_prod, column_stack, combinations,
    concat, diagonal_copy, dstack, hstack, meshgrid, trapezoid, tril_indices, triu_indices, vander, vstack, where,
]  # fmt: skip
_ALIASES: dict[str, Callable[..., Any]] = {"concatenate": concat, "row_stack": vstack, "trapz": trapezoid}

EXPORTS: dict[str, tuple[Callable[..., Any], bool]] = {
    **{function.__name__: (function, True) for function in _BOTH},
    **{function.__name__: (function, False) for function in _FUNCTIONS},
    **{name: (function, False) for name, function in _ALIASES.items()},
}

PROPERTIES: dict[str, Callable[[Tensor], Tensor]] = {"T": _numpy_t, "mT": _matrix_t, "H": _hermitian, "mH": adjoint}
METHODS: dict[str, Callable[..., Any]] = {"where": _where_method, "to_sparse": to_sparse, "to_dense": to_dense}
for _name, _function in PROPERTIES.items():
    if _name not in Tensor.__dict__:
        setattr(Tensor, _name, property(_function))
for _name, _function in METHODS.items():
    setattr(Tensor, _name, _function)
