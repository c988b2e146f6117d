"""Sparse tensors in coordinate format (COO): where the elements are that are kept, and their values; all others are zero.

The values are an ordinary tensor, so a gradient with respect to a sparse tensor is one with respect to its values, and whatever is computed
here by ordinary ops of them is differentiable. What has no line in `sparse_ops` raises NotImplementedError and names `to_dense()` as the way out.
"""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np

from ..autograd.graph import NoArray, wrap
from ..autograd.record import apply
from ..autograd.record import grad_fn as history
from ..dtypes import get_default_dtype
from ..errors import check_dim
from ..ops.index import put
from ..ops.table import OPS, Op
from .creation import as_tensor, check_device
from .device import sparse_coo
from .size import Size
from .tensor import Tensor


class SparseTensor(Tensor):
    """A tensor of which the elements at `nnz` positions are kept; positions that occur more than once stand for the sum of their values."""

    _positions: Any  # (sparse dims, nnz), int64
    _entries: Tensor  # (nnz, *dense sizes)
    _sizes: tuple[int, ...]
    _coalesced: bool

    # -- what it is ---------------------------------------------------------------------------------------------------

    @property
    def _data(self) -> Any:  # type: ignore[override]
        raise NoArray(self, f"a dense tensor is needed here, but this one is sparse ({self._about()}); call to_dense()")

    @property
    def _node(self) -> Any:  # type: ignore[override]
        raise RuntimeError(
            "a sparse tensor has no history of its own: differentiate with respect to the tensor its values came from"
        )

    def _about(self) -> str:
        return f"size={tuple(self._sizes)}, nnz={self._nnz()}"

    @property
    def _rg(self) -> bool:  # type: ignore[override]
        return self._entries.requires_grad

    @property
    def requires_grad(self) -> bool:
        """Whether the values are differentiated."""
        return self._entries.requires_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        self._entries.requires_grad = value

    @property
    def is_leaf(self) -> bool:
        return self._entries.is_leaf

    @property
    def grad_fn(self) -> Any:
        return history(self._entries)

    @property
    def grad(self) -> Any:
        """The gradient of a leaf: a sparse tensor with the gradient of each element that is kept."""
        found = self._entries.grad
        if found is None:
            return None
        _, first = np.unique(flat(self), return_index=True)
        return sparse(self._positions[:, first], found[first], self._sizes, True)

    @grad.setter
    def grad(self, value: Any) -> None:
        if value is not None:
            raise RuntimeError("the gradient of a sparse tensor can be set to None only")
        self._entries.grad = None

    shape = property(lambda self: Size(self._sizes))
    ndim = property(lambda self: len(self._sizes))
    dtype = property(lambda self: self._entries.dtype)
    itemsize = property(lambda self: self._entries.itemsize)
    is_sparse = property(lambda self: True)
    layout = property(lambda self: sparse_coo)

    def size(self, dim: int | None = None) -> Any:
        """The shape, or one size of it."""
        return self.shape if dim is None else self._sizes[check_dim(dim, self.ndim)]

    def dim(self) -> int:
        """The number of dims."""
        return len(self._sizes)

    def numel(self) -> int:
        """The number of elements, zeros included."""
        return math.prod(self._sizes)

    nelement = numel

    def __len__(self) -> int:
        if not self._sizes:
            raise TypeError("len() of a 0-d tensor")
        return self._sizes[0]

    def is_floating_point(self) -> bool:
        """Whether the dtype is a real floating type."""
        return bool(self.dtype.is_floating_point)

    def is_complex(self) -> bool:
        """Whether the dtype is complex."""
        return bool(self.dtype.is_complex)

    def element_size(self) -> int:
        """The bytes of one value."""
        return int(self.itemsize)

    def is_same_size(self, other: Tensor) -> bool:
        """Whether the shapes are equal."""
        return bool(self.shape == other.shape)

    def is_contiguous(self, memory_format: Any = None) -> bool:
        """False: there is no one array."""
        return False

    # -- the parts ----------------------------------------------------------------------------------------------------

    def indices(self) -> Tensor:
        """The positions, `(sparse dims, nnz)`. Raises RuntimeError if a position may occur twice: coalesce() first."""
        self._expect_coalesced("indices")
        return self._indices()

    def values(self) -> Tensor:
        """The values, `(nnz, ...)`. Raises RuntimeError if a position may occur twice: coalesce() first."""
        self._expect_coalesced("values")
        return self._entries

    def _expect_coalesced(self, what: str) -> None:
        if not self._coalesced:
            raise RuntimeError(f"Cannot get {what} on an uncoalesced tensor, please call .coalesce() first")

    def _indices(self) -> Tensor:
        return wrap(self._positions)  # type: ignore[no-any-return]

    def _values(self) -> Tensor:
        return self._entries

    def _nnz(self) -> int:
        return int(self._positions.shape[1])

    def sparse_dim(self) -> int:
        """How many dims are stored by position; the others are stored in full."""
        return len(self._positions)

    def dense_dim(self) -> int:
        """How many dims are stored in full."""
        return len(self._sizes) - len(self._positions)

    def is_coalesced(self) -> bool:
        """Whether the positions are known to be in order, each once."""
        return self._coalesced

    def coalesce(self) -> SparseTensor:
        """The same tensor with its positions in order, each once, and the values of one position added."""
        if self._coalesced:
            return self
        found, inverse = np.unique(flat(self), return_inverse=True)
        entries = apply(put, (self._entries, inverse.reshape(-1), (len(found), *self._entries.shape[1:])))
        positions = np.unravel_index(found, self._sizes[: self.sparse_dim()]) if len(self._positions) else ()
        return sparse(np.array(positions, np.int64).reshape(self.sparse_dim(), len(found)), entries, self._sizes, True)

    # -- conversions --------------------------------------------------------------------------------------------------

    def to_dense(self, dtype: Any = None, *, masked_grad: Any = None) -> Tensor:
        """The tensor with its zeros written out."""
        values = self._entries if dtype is None else self._entries.to(dtype)
        if not len(self._positions):
            return values.sum(0)  # type: ignore[no-any-return]
        return apply(put, (values, tuple(self._positions), self._sizes))  # type: ignore[no-any-return]

    def to_sparse(self, sparse_dim: int | None = None, *, layout: Any = None) -> SparseTensor:
        """The tensor itself."""
        _check_layout(layout)
        return self

    def to(self, *args: Any, **kwargs: Any) -> Tensor:
        """The tensor as another dtype; itself if nothing changes."""
        entries = self._entries.to(*(a._entries if isinstance(a, SparseTensor) else a for a in args), **kwargs)
        return self if entries is self._entries else self._with(entries)

    def detach(self) -> Tensor:
        """The same positions and values, without history."""
        return self._with(self._entries.detach())

    def contiguous(self, memory_format: Any = None) -> Tensor:
        """Always raises RuntimeError, as in torch: there is no one array."""
        raise RuntimeError("contiguous() is not implemented for sparse tensors; call coalesce() or to_dense()")

    def numpy(self, *, force: bool = False) -> Any:
        """Always raises TypeError: to_dense() first."""
        raise TypeError("can't convert Sparse layout tensor to numpy. Use Tensor.to_dense() first.")

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        return self.numpy()

    def _with(self, entries: Any) -> SparseTensor:
        return sparse(self._positions, entries, self._sizes, self._coalesced)

    def __deepcopy__(self, memo: dict[int, Any]) -> SparseTensor:
        if id(self) not in memo:
            memo[id(self)] = self._with(copy.deepcopy(self._entries, memo))
        return memo[id(self)]  # type: ignore[no-any-return]

    def __reduce_ex__(self, protocol: Any) -> Any:
        return sparse, (self._positions, self._entries, self._sizes, self._coalesced)

    def __repr__(self, *, tensor_contents: Any = None) -> str:  # type: ignore[override]
        from .printing import sparse_repr

        return sparse_repr(self)

    def run(self, op: Op, args: tuple[Any, ...]) -> Any:
        """Compute an op that has a sparse tensor among its arguments."""
        from .sparse_ops import OF_SPARSE

        function = OF_SPARSE.get(op.name)
        result = NotImplemented if function is None else function(*args)
        if result is NotImplemented:
            raise NotImplementedError(
                f"{op.name}() is not implemented for a sparse tensor ({self._about()}) with these arguments; call to_dense()"
            )
        return result


def _operator(name: str) -> None:
    """`x + y` and the like. Python asks the right operand first where its class is derived from the left one's."""
    setattr(SparseTensor, f"__{name}__", lambda self, other: apply(OPS[name], (self, other)))
    setattr(SparseTensor, f"__r{name}__", lambda self, other: apply(OPS[name], (other, self)))


for _name in ("add", "sub", "mul", "matmul"):
    _operator(_name)


def sparse(positions: Any, entries: Any, sizes: Any, coalesced: bool) -> SparseTensor:
    t = object.__new__(SparseTensor)
    t._positions, t._entries, t._sizes = positions, entries, tuple(sizes)
    t._coalesced = coalesced or positions.shape[1] < 2
    return t


def flat(s: SparseTensor) -> Any:
    """Each position as one number, in row-major order."""
    if not len(s._positions):
        return np.zeros(s._nnz(), np.int64)
    return np.ravel_multi_index(tuple(s._positions), s._sizes[: len(s._positions)])


# -- making one -----------------------------------------------------------------------------------------------------------


def sparse_coo_tensor(
    indices: Any = None,
    values: Any = None,
    size: Any = None,
    *,
    dtype: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
    check_invariants: bool | None = None,
    is_coalesced: bool | None = None,
) -> SparseTensor:
    """The tensor with `values` `(nnz, ...)` at `indices` `(sparse dims, nnz)`; with a size alone, a tensor of zeros.

    Raises:
        RuntimeError: numbers of indices, values and dims that do not fit, or an index outside of the size (always checked).
    """
    check_device(device)
    if values is None:
        sizes = tuple(size if indices is None else indices)
        entries = as_tensor(np.zeros(0), dtype=dtype or get_default_dtype())
        return sparse(np.zeros((len(sizes), 0), np.int64), entries.requires_grad_(requires_grad), sizes, False)
    positions = np.array(_plain(indices)).astype(np.int64)
    entries = values if isinstance(values, Tensor) else as_tensor(values)
    entries = (entries if entries.ndim else entries.reshape(1)).to(dtype=dtype)
    if positions.ndim == 1 and not positions.size:
        positions = positions.reshape(1, 0)
    if positions.ndim != 2:
        raise RuntimeError(f"indices must be sparse_dim x nnz, but got: {list(positions.shape)}")
    if len(entries) != positions.shape[1]:
        raise RuntimeError(
            f"indices and values must have same nnz, but got nnz from indices: {positions.shape[1]}, nnz from values: {len(entries)}"
        )
    if size is None:
        largest = positions.max(1) + 1 if positions.size else np.zeros(len(positions), np.int64)
        size = (*largest.tolist(), *entries.shape[1:])
    _check(positions, entries, tuple(size))
    if requires_grad:
        entries = entries.detach().clone().requires_grad_()
    return sparse(positions, entries, size, bool(is_coalesced))


def _plain(indices: Any) -> Any:
    return indices._data if isinstance(indices, Tensor) else indices


def _check(positions: Any, entries: Tensor, sizes: tuple[int, ...]) -> None:
    n, dense = len(positions), entries.ndim - 1
    if len(sizes) != n + dense:
        raise RuntimeError(
            f"'len(size) == sparse_dim + dense_dim' is not satisfied: len(size) = {len(sizes)}, sparse_dim = {n}, dense_dim = {dense}"
        )
    if tuple(entries.shape[1:]) != sizes[n:]:
        raise RuntimeError(
            f"values has incorrect size, expected {[len(entries), *sizes[n:]]}, got {list(entries.shape)}"
        )
    for d in range(n if positions.size else 0):
        low, high = int(positions[d].min()), int(positions[d].max())
        if low < 0:
            raise RuntimeError(f"found negative index {low} for dim {d}")
        if high >= sizes[d]:
            raise RuntimeError(
                f"size is inconsistent with indices: for dim {d}, size is {sizes[d]} but found index {high}"
            )


def _check_layout(wanted: Any) -> None:
    if wanted is not None and wanted != sparse_coo:
        raise NotImplementedError(f"to_sparse(): tensorlite has the layout sparse_coo alone, got {wanted}")


def from_dense(self: Tensor, sparse_dim: int | None = None, *, layout: Any = None) -> SparseTensor:
    """The elements that are not zero, of the first `sparse_dim` dims (default: of all), as a coalesced sparse tensor."""
    _check_layout(layout)
    k = self.ndim if sparse_dim is None else sparse_dim
    if not min(1, self.ndim) <= k <= self.ndim:
        raise RuntimeError(f"sparse_dim must be at least 1 and at most the number of dims ({self.ndim}), got {k}")
    kept = self._data.reshape((*self._data.shape[:k], math.prod(self._data.shape[k:]))).any(-1)
    positions = np.stack(np.nonzero(kept)) if k else np.zeros((0, int(kept)), np.int64)
    entries = self[tuple(positions)] if k else self.reshape(1)[: int(kept)]
    return sparse(positions, entries, self._data.shape, True)
