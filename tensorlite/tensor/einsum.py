"""einsum: Einstein's summation convention, with ellipsis, repeated indices and the sublist format.

Operands are contracted pair by pair, each pair as one batched matrix product, so the work is done by BLAS and the gradients are those of
matmul, permute and sum. Parsing is apart from the contraction.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ..autograd.record import apply
from ..ops import linalg, reduce, shape

_DOTS = "..."
Labels = tuple[Any, ...]


def parse(equation: str, ndims: Sequence[int]) -> tuple[list[Labels], Labels]:
    """The labels of each operand and of the result; an ellipsis becomes labels -k … -1, aligned from the right."""
    compact = equation.replace(" ", "")
    left, arrow, right = compact.partition("->")
    terms = left.split(",")
    if len(terms) != len(ndims):
        raise RuntimeError(
            f"einsum(): the number of operands in the equation ({len(terms)}) and given ({len(ndims)}) differ"
        )
    return _resolve([_tokens(t) for t in terms], _tokens(right) if arrow else None, ndims)


def _tokens(term: str) -> list[Any]:
    tokens: list[Any] = []
    i = 0
    while i < len(term):
        if term.startswith(_DOTS, i):
            tokens.append(_DOTS)
            i += 3
        elif term[i].isalpha() and term[i].isascii():
            tokens.append(term[i])
            i += 1
        else:
            raise RuntimeError(
                f"einsum(): invalid subscript given at index {i} in the equation string, subscripts must be in [a-zA-Z]"
            )
    return tokens


def _resolve(terms: list[list[Any]], result: list[Any] | None, ndims: Sequence[int]) -> tuple[list[Labels], Labels]:
    widest, operands = 0, []
    for i, (term, ndim) in enumerate(zip(terms, ndims, strict=True)):
        if term.count(_DOTS) > 1:
            raise RuntimeError(f"einsum(): found '.' for operand {i} for which an ellipsis was already found")
        named = len(term) - term.count(_DOTS)
        if named > ndim or (named < ndim and _DOTS not in term):
            raise RuntimeError(
                f"einsum(): the number of subscripts in the equation ({named}) {'is more than' if named > ndim else 'does not match'} the number of "
                f"dimensions ({ndim}) for operand {i}" + ("" if named > ndim else " and no ellipsis was given")
            )
        dots = ndim - named
        widest = max(widest, dots)
        operands.append(tuple(x for t in term for x in (range(-dots, 0) if t == _DOTS else (t,))))
    if result is None:
        counts: dict[Any, int] = {}
        for labels in operands:
            for label in labels:
                counts[label] = counts.get(label, 0) + 1
        named_once = sorted(
            (x for x in counts if not isinstance(x, int) or x >= 0)
            if not _numeric(counts)
            else (x for x in counts if x >= 0),
            key=_order,
        )
        return operands, (*range(-widest, 0), *(x for x in named_once if counts[x] == 1))
    output = tuple(x for t in result for x in (range(-widest, 0) if t == _DOTS else (t,)))
    known = {x for labels in operands for x in labels}
    for x in output:
        if output.count(x) > 1:
            raise RuntimeError(f"einsum(): output subscript {_name(x)} appears more than once in the output")
        if x not in known:
            raise RuntimeError(
                f"einsum(): output subscript {_name(x)} does not appear in the equation for any input operand"
            )
    return operands, output


def _numeric(labels: Any) -> bool:
    return all(isinstance(x, int) for x in labels)


def _order(label: Any) -> Any:
    return (0, label) if isinstance(label, int) else (1, ord(label))


def _name(label: Any) -> str:
    return str(label) if isinstance(label, int) else label


def einsum(equation: Any, *operands: Any) -> Any:
    """Sum of products over the indices that the result does not have: `einsum("bij,bjk->bik", x, y)`, or sublists `einsum(x, [0, 1], y, [1, 2], [0, 2])`."""
    if isinstance(equation, str):
        if len(operands) == 1 and isinstance(operands[0], list | tuple):
            operands = tuple(operands[0])
        tensors = list(operands)
        if not tensors:
            raise RuntimeError("einsum(): must provide at least one operand")
        labels, result = parse(equation, [t.ndim for t in tensors])
    else:
        given = [equation, *operands]
        output = given.pop() if len(given) % 2 else None
        tensors = given[::2]
        sublists = [[_DOTS if x is Ellipsis else int(x) for x in s] for s in given[1::2]]
        labels, result = _resolve(
            sublists,
            None if output is None else [_DOTS if x is Ellipsis else int(x) for x in output],
            [t.ndim for t in tensors],
        )
    sizes: dict[Any, int] = {}
    for i, (t, names) in enumerate(zip(tensors, labels, strict=True)):
        for x, n in zip(names, t.shape, strict=True):
            if sizes.setdefault(x, n) != n:
                if 1 not in (sizes[x], n):
                    raise RuntimeError(
                        f"einsum(): subscript {_name(x)} has size {n} for operand {i} which does not broadcast with previously seen size {sizes[x]}"
                    )
                sizes[x] = max(sizes[x], n) if 0 not in (sizes[x], n) else 0
    work = [_diagonal(t, names) for t, names in zip(tensors, labels, strict=True)]
    while len(work) > 1:
        i, j = _cheapest(work, result, sizes) if len(work) > 2 else (0, 1)
        second, first = work.pop(j), work.pop(i)
        needed = set(result).union(*(names for _, names in work))
        work.insert(i, _contract(first, second, needed))
    x, names = _sum_out(*work[0], set(result))
    out = apply(shape.permute, (x, tuple(names.index(r) for r in result if r in names))) if len(names) > 1 else x
    for axis, r in enumerate(result):
        if r not in names:  # an index of an empty ellipsis elsewhere
            out = out.unsqueeze(axis)
    return out


def _diagonal(x: Any, labels: Labels) -> tuple[Any, Labels]:
    """Take the diagonal over an index that occurs twice in one operand."""
    for label in dict.fromkeys(labels):
        while labels.count(label) > 1:
            i = labels.index(label)
            j = labels.index(label, i + 1)
            if x.shape[i] != x.shape[j]:
                raise RuntimeError(
                    f"einsum(): subscript {_name(label)} is repeated for one operand but the sizes don't match, {x.shape[j]} != {x.shape[i]}"
                )
            x = apply(shape.diagonal, (x, 0, i, j))
            labels = (*(n for k, n in enumerate(labels) if k not in (i, j)), label)
    return x, labels


def _sum_out(x: Any, labels: Labels, needed: set[Any]) -> tuple[Any, Labels]:
    dims = tuple(i for i, n in enumerate(labels) if n not in needed)
    return (apply(reduce.sum, (x, dims)), tuple(n for n in labels if n in needed)) if dims else (x, labels)


def _cheapest(work: list[tuple[Any, Labels]], result: Labels, sizes: dict[Any, int]) -> tuple[int, int]:
    """The pair whose contraction takes the fewest multiplications."""
    pairs = [(i, j) for i in range(len(work)) for j in range(i + 1, len(work))]
    return min(pairs, key=lambda p: math.prod(sizes[x] for x in {*work[p[0]][1], *work[p[1]][1]}))


def _contract(first: tuple[Any, Labels], second: tuple[Any, Labels], needed: set[Any]) -> tuple[Any, Labels]:
    """Two operands as one batched matrix product: shared and needed indices are the batch, shared and unneeded ones are summed over."""
    (x, xs), (y, ys) = first, second
    x, xs = _sum_out(x, xs, needed | set(ys))
    y, ys = _sum_out(y, ys, needed | set(xs))
    # an index of size 1 on one side broadcasts: sum the other side over it, or let the batch broadcast it
    for label in [n for n in xs if n in ys]:
        i, j = xs.index(label), ys.index(label)
        if x.shape[i] != y.shape[j]:
            if x.shape[i] == 1:
                x, xs = apply(reduce.sum, (x, i)), tuple(n for n in xs if n != label)
            else:
                y, ys = apply(reduce.sum, (y, j)), tuple(n for n in ys if n != label)
    x, xs = _sum_out(x, xs, needed | set(ys))
    y, ys = _sum_out(y, ys, needed | set(xs))
    shared = [n for n in xs if n in ys]
    batch = [n for n in shared if n in needed]
    summed = [n for n in shared if n not in needed]
    rows = [n for n in xs if n not in ys]
    columns = [n for n in ys if n not in xs]
    sizes = {**dict(zip(xs, x.shape, strict=True)), **dict(zip(ys, y.shape, strict=True))}
    names = (*batch, *rows, *columns)
    target = tuple(sizes[n] for n in names)
    if not summed:  # a product, element by element
        x = _arranged(x, xs, [*batch, *rows]).reshape((*(sizes[n] for n in (*batch, *rows)), *([1] * len(columns))))
        y = _arranged(y, ys, [*batch, *columns]).reshape(
            (*(sizes[n] for n in batch), *([1] * len(rows)), *(sizes[n] for n in columns))
        )
        return x * y, names
    b, r, k, c = (math.prod(sizes[n] for n in group) for group in (batch, rows, summed, columns))
    lead = (b,) if batch else ()
    left = _arranged(x, xs, [*batch, *rows, *summed]).reshape((*lead, r, k))
    right = _arranged(y, ys, [*batch, *summed, *columns]).reshape((*lead, k, c))
    return apply(linalg.matmul, (left, right)).reshape(target), names


def _arranged(x: Any, labels: Labels, order: list[Any]) -> Any:
    dims = tuple(labels.index(n) for n in order)
    return x if dims == tuple(range(len(dims))) else apply(shape.permute, (x, dims))
