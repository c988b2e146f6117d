"""torch functions and Tensor methods that are compositions of ops, about shapes and indexing, gathered for the `tensorlite` namespace.

`EXPORTS` lists them: name -> (function, whether it is also a Tensor method). `tensor.namespace` puts them into the `tensorlite` namespace and
on Tensor. A name that ends in an underscore is a method alone. `PROPERTIES` are attributes of Tensor: name -> function of the tensor.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .functions_diagonal import (
    cumulative_trapezoid,
    diag,
    diagflat,
    diagonal_copy,
    trapezoid,
    tril_indices,
    triu_indices,
    vander,
)
from .functions_index import (
    argwhere,
    copy_,
    fill,
    fill_,
    fill_diagonal_,
    index_put,
    index_put_,
    index_reduce,
    scatter,
    scatter_,
    select_scatter,
    slice_scatter,
    where,
    where_method,
    zero_,
)
from .functions_join import (
    block_diag,
    cartesian_prod,
    column_stack,
    combinations,
    concat,
    dsplit,
    dstack,
    hsplit,
    hstack,
    meshgrid,
    unsafe_chunk,
    unsafe_split,
    vsplit,
    vstack,
)
from .functions_shape import (
    adjoint,
    atleast_1d,
    atleast_2d,
    atleast_3d,
    broadcast_shapes,
    broadcast_tensors,
    broadcast_to,
    contiguous,
    expand_as,
    flatten,
    fliplr,
    flipud,
    hermitian,
    is_contiguous,
    matrix_t,
    moveaxis,
    narrow,
    narrow_copy,
    numpy_t,
    ravel,
    reshape_as,
    rot90,
    select,
    swapaxes,
    swapdims,
    t,
    tile,
    view_as,
)
from .tensor import Tensor


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

PROPERTIES: dict[str, Callable[[Tensor], Tensor]] = {"T": numpy_t, "mT": matrix_t, "H": hermitian, "mH": adjoint}
METHODS: dict[str, Callable[..., Any]] = {"where": where_method, "to_sparse": to_sparse, "to_dense": to_dense}
for _name, _function in PROPERTIES.items():
    if _name not in Tensor.__dict__:
        setattr(Tensor, _name, property(_function))
for _name, _function in METHODS.items():
    setattr(Tensor, _name, _function)
