"""The product of a sparse matrix, given by its entries, with a dense one."""

from __future__ import annotations

from typing import Any

import numpy as np

from .analytic import conj
from .index import getitem
from .table import op

_BLOCK = 1 << 18  # products held at a time: 2 MB in float64, which stay in the cache


def _matrix(s: Any) -> tuple[Any, ...]:
    n, k, nnz = s.integer(1, 3), s.integer(1, 3), s.integer(0, 5)
    rows, columns = (np.array([s.integer(0, m - 1) for _ in range(nnz)], np.int64) for m in (n, k))
    return s.array((nnz,)), s.array((k, s.integer(1, 3))), rows, columns, n


@op(namespaces=(), samples=_matrix)
def sparse_matmul(values: Any, dense: Any, rows: Any, columns: Any, n: Any) -> Any:
    """The matrix of `n` rows with `values` at (`rows`, `columns`), entries of one place added, times `dense` `(k, m)`: `(n, m)`."""
    dtype = np.result_type(values, dense)
    wide = {"f": np.dtype(np.float64), "c": np.dtype(np.complex128)}.get(dtype.kind, dtype)
    if rows.size and (rows[1:] < rows[:-1]).any():
        order = np.argsort(rows, kind="stable")
        values, rows, columns = values[order], rows[order], columns[order]
    out = np.zeros((n, dense.shape[1]), wide)
    block = max(1, _BLOCK // max(dense.shape[1], 1))
    for i in range(0, len(rows), block):
        part = rows[i : i + block]
        starts = np.flatnonzero(np.concatenate(([True], part[1:] != part[:-1])))
        terms = values[i : i + block, None] * dense[columns[i : i + block]]
        out[part[starts]] += np.add.reduceat(terms, starts, axis=0, dtype=wide)
    return out.astype(dtype, copy=False)


sparse_matmul.grad(
    values=lambda g, dense, rows, columns: (getitem(g, rows) * conj(getitem(dense, columns))).sum(-1),
    dense=lambda g, values, rows, columns, dense_shape: sparse_matmul(conj(values), g, columns, rows, dense_shape[0]),
)
