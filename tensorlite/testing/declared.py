"""The specs of ops whose arguments do not follow from their signature: shapes, windows, indices, matrices, losses, normalisations."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .source import Source
from .specs import Arguments, Declared

Args = tuple[Any, ...]


def _x(s: Source, min_dims: int = 0, max_dims: int = 3) -> Any:
    return s.array(s.shape(min_dims, max_dims))


def _many(n: int, domain: str = "real", last: str | None = None) -> Arguments:
    def arguments(s: Source) -> Args:
        shapes = s.broadcastable(n)
        return tuple(s.array(shape, last if last and i == n - 1 else domain) for i, shape in enumerate(shapes))

    return arguments


# -- activations ------------------------------------------------------------------------------------------------------


def prelu(s: Source) -> Args:
    x = _x(s, 2)
    return x, s.array((x.shape[1],) if s.boolean() else (1,))


def glu(s: Source) -> Args:
    shape = list(s.shape(1, 3))
    d = s.axis(len(shape))
    shape[d] *= 2
    return s.array(tuple(shape)), d


def attention(s: Source) -> Args:
    b, h, t, u, d = s.integer(1, 2), s.integer(1, 2), s.integer(1, 3), s.integer(1, 3), s.integer(1, 3)
    kv = 1 if s.boolean() else h
    q, k, v = s.array((b, h, t, d)), s.array((b, kv, u, d)), s.array((b, kv, u, 2))
    return q, k, v, (s.mask((t, u)) if s.boolean() else None), s.boolean() and t == u, None, 0.0, 0


# -- shapes -----------------------------------------------------------------------------------------------------------


def regroup(s: Source, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Another shape of the same size, possibly with one -1."""
    size = math.prod(shape)
    a = s.choice([d for d in range(1, size + 1) if size % d == 0]) if size else 1
    other = s.choice([(size,), (a, size // a), (size // a, 1, a), tuple(reversed(shape))])
    if s.boolean() and other:
        i = s.integer(0, len(other) - 1)
        return tuple(-1 if j == i else n for j, n in enumerate(other))
    return other


def reshape(s: Source) -> Args:
    x = _x(s)
    return x, regroup(s, x.shape)


def transpose(s: Source) -> Args:
    x = _x(s, 1)
    return x, s.axis(x.ndim), s.axis(x.ndim)


def permute(s: Source) -> Args:
    x = _x(s, 1 if s.integer(0, 2) == 0 else 3, 4)
    return x, s.noninvolutive(x.ndim)


def expand(s: Source) -> Args:
    full = s.shape(1, 3)
    return s.array(tuple(1 if s.boolean() else n for n in full)), ((s.integer(1, 3),) if s.boolean() else ()) + full


def squeeze(s: Source) -> Args:
    x = s.array(tuple(1 if s.boolean() else n for n in s.shape(1, 3)))
    return x, (None if s.boolean() else s.axis(x.ndim))


def unsqueeze(s: Source) -> Args:
    x = _x(s)
    return x, s.axis(x.ndim + 1)


def movedim(s: Source) -> Args:
    x = _x(s, 2)
    count = s.integer(1, x.ndim)
    return x, s.permutation(x.ndim)[:count], s.permutation(x.ndim)[:count]


def unflatten(s: Source) -> Args:
    a, b = s.integer(1, 3), s.integer(1, 3)
    x = s.array((*s.shape(0, 1), a * b, *s.shape(0, 1)))
    d = next(i for i, n in enumerate(x.shape) if n == a * b)
    return x, d, (a, b)


def diagonal(s: Source) -> Args:
    x = _x(s, 2)
    a, b = s.permutation(x.ndim)[:2]
    return x, s.integer(-1, 1) if min(x.shape[a], x.shape[b]) > 1 else 0, a, b


def diagonal_scatter(s: Source) -> Args:
    x, offset, a, b = diagonal(s)
    return x, s.array(np.diagonal(x, offset, a, b).shape), offset, a, b


def diag_embed(s: Source) -> Args:
    x = _x(s, 1, 2)
    a, b = s.permutation(x.ndim + 1)[:2]
    return x, s.integer(-1, 1), a, b


def unfold(s: Source) -> Args:
    x = s.array(s.shape(1, 3, 1, 4))
    d = s.axis(x.ndim)
    return x, d, s.integer(1, x.shape[d]), s.integer(1, 2)


def fold_windows(s: Source) -> Args:
    shape = s.shape(1, 2, 1, 4)
    d = s.integer(0, len(shape) - 1)
    size, step = s.integer(1, shape[d]), s.integer(1, 2)
    places = (shape[d] - size) // step + 1
    return s.array((*shape[:d], places, *shape[d + 1 :], size)), shape, d, size, step


def as_strided(s: Source) -> Args:
    x = s.array((s.integer(7, 9),))
    return x, (2, 3), s.choice([(3, 1), (1, 1), (1, 2), (2, 1)]), s.integer(0, 1)


def sum_to_size(s: Source) -> Args:
    x = _x(s)
    cut = s.integer(0, x.ndim)
    return x, tuple(1 if s.boolean() else n for n in x.shape[cut:])


def roll(s: Source) -> Args:
    x = _x(s, 1)
    dims = s.axes(x.ndim)
    return (x, s.integer(-3, 3)) if s.boolean() else (x, tuple(s.integer(-3, 3) for _ in dims), dims)


def repeat_interleave(s: Source) -> Args:
    x = _x(s, 1)
    d = s.axis(x.ndim)
    return x, (s.integer(1, 3) if s.boolean() else s.indices((x.shape[d],), 3)), d


def pad(s: Source) -> Args:
    x = s.array(s.shape(1, 3, 2, 3))
    return x, tuple(s.integer(-1, 2) for _ in range(2 * s.integer(1, x.ndim))), 0.5


# -- joining and splitting --------------------------------------------------------------------------------------------


def cat(s: Source) -> Args:
    shape = list(s.shape(1, 3))
    d = s.integer(0, len(shape) - 1)
    pieces = [tuple(s.integer(1, 3) if i == d else n for i, n in enumerate(shape)) for _ in range(s.integer(1, 3))]
    return [s.array(p) for p in pieces], d - len(shape) if s.boolean() else d


def stack(s: Source) -> Args:
    shape = s.shape(0, 2)
    return [s.array(shape) for _ in range(s.integer(1, 3))], s.axis(len(shape) + 1)


def chunked(s: Source) -> Args:
    x = s.array(s.shape(1, 3, 1, 4))
    return x, s.integer(1, 3), s.axis(x.ndim)


def split_sizes(s: Source) -> Args:
    x = s.array(s.shape(1, 3, 1, 4))
    d = s.axis(x.ndim)
    cut = s.integer(0, x.shape[d])
    return x, (cut, x.shape[d] - cut), d


# -- indices ----------------------------------------------------------------------------------------------------------


def index(s: Source, shape: tuple[int, ...]) -> Any:
    """An index of every kind: slices of either sign, integers, None, ellipsis, integer arrays with duplicates, a mask."""
    kind = s.integer(0, 4)
    if kind == 0 or not shape:
        return (...,) if not shape else s.slice(shape[0])
    if kind == 1:
        return tuple(s.slice(n) if s.integer(0, 2) else s.integer(-n, n - 1) for n in shape)
    if kind == 2:
        return (..., None, s.slice(shape[-1]))
    if kind == 3:
        return (s.indices((s.integer(1, 4),), shape[0]),)
    return s.mask(shape)


def getitem(s: Source) -> Args:
    x = s.array(s.shape(1, 3, 2, 3))
    return x, index(s, x.shape)


def put_at(s: Source) -> Args:
    shape = s.shape(1, 3)
    where = index(s, shape)
    return s.array(np.zeros(shape)[where].shape), where, shape


def setitem(s: Source) -> Args:
    x = _x(s, 1)
    where = index(s, x.shape)
    shape = x[where].shape
    return x, where, s.array(shape if s.boolean() or not shape else tuple(1 if s.boolean() else n for n in shape))


def index_put(s: Source) -> Args:
    x = _x(s, 1)
    count = s.integer(1, 4)
    return x, (s.indices((count,), x.shape[0]),), s.array((count, *x.shape[1:])), s.boolean()


def gathered(s: Source) -> tuple[Any, int, Any]:
    """x, dim, and an index no larger than x in the other dims."""
    x = _x(s, 1)
    d = s.axis(x.ndim)
    shape = tuple(s.integer(1, 4) if i == d % x.ndim else s.integer(1, n) for i, n in enumerate(x.shape))
    return x, d, s.indices(shape, x.shape[d])


def scattered(s: Source) -> Args:
    x, d, where = gathered(s)
    return x, d, where, s.array(tuple(n + s.integer(0, 1) for n in where.shape))


def scatter_reduce(s: Source) -> Args:
    x, d, where, source = scattered(s)
    return x, d, where, source, s.choice(("sum", "prod", "mean", "amax", "amin")), s.boolean()


def rows(s: Source) -> tuple[Any, int, Any]:
    x = _x(s, 1)
    d = s.axis(x.ndim)
    return x, d, s.indices((s.integer(1, 4),), x.shape[d])


def row_source(s: Source) -> Args:
    x, d, where = rows(s)
    return x, d, where, s.array(tuple(len(where) if i == d % x.ndim else n for i, n in enumerate(x.shape)))


def along(s: Source) -> Args:
    x = _x(s, 1)
    d = s.integer(0, x.ndim - 1)
    return x, s.indices(tuple(s.integer(1, 4) if i == d else n for i, n in enumerate(x.shape)), x.shape[d]), d


def put_along(s: Source) -> Args:
    values = _x(s, 1)
    d = s.integer(0, values.ndim - 1)
    size = values.shape[d] + s.integer(0, 2)
    return values, s.indices(values.shape, size), d, size, False


def flat(s: Source) -> Args:
    x = _x(s)
    return x, s.indices(s.shape(0, 2), x.size)


def put(s: Source) -> Args:
    x, where = flat(s)
    return x, where, s.array(where.shape), s.boolean()


def masked_scatter(s: Source) -> Args:
    x = _x(s)
    mask = s.mask(x.shape)
    return x, mask, s.array((int(mask.sum()) + s.integer(0, 2),))


def embedding(s: Source) -> Args:
    v = s.integer(1, 4)
    # the row that pads is not looked up: that it gets no gradient is a convention, not a derivative
    return s.indices(s.shape(0, 2), v), s.array((v + 1, s.integer(1, 3))), (v if s.boolean() else None)


# -- order ------------------------------------------------------------------------------------------------------------


def kth(s: Source) -> Args:
    x = _x(s, 1)
    d = s.axis(x.ndim)
    return x, s.integer(1, x.shape[d]), d, s.boolean()


# -- linear algebra ---------------------------------------------------------------------------------------------------


def matmul(s: Source) -> Args:
    a, b = s.matmul_shapes()
    return s.array(a), s.array(b)


def linear(s: Source) -> Args:
    n, k = s.integer(1, 3), s.integer(1, 3)
    return s.array((*s.shape(0, 2), k)), s.array((n, k)), (s.array((n,)) if s.boolean() else None)


def square(s: Source) -> Args:
    return (s.invertible(s.integer(1, 3), s.shape(0, 1)),)


def solve(s: Source) -> Args:
    n, batch = s.integer(1, 3), s.shape(0, 1)
    return s.invertible(n, batch), s.array((*batch, n, s.integer(1, 2)))


def triangular(s: Source) -> Args:
    a, b = solve(s)
    return a, b, s.boolean(), False


def cholesky_solve(s: Source) -> Args:
    a, b = solve(s)
    return b, np.tril(a), False


def tall(s: Source) -> Args:
    n = s.integer(1, 3)
    return (s.invertible(n + 1)[..., :n].copy() if s.boolean() else s.invertible(n),)


def symmetric(call: Any) -> Any:
    """The op on `x + xᵀ`, for ops that read one triangle only."""
    return lambda op, x, *rest: call(op(x + x.swapaxes(-1, -2), *rest))


def _eigh(out: Any) -> Any:
    values, vectors = out
    return values, vectors * vectors  # an eigenvector's sign is free


def _eig(op: Any, x: Any) -> Any:
    values = op(x)[0]  # their order is free
    return _as_real(values.sum(-1)), _as_real((values * values).sum(-1))


def _svd(op: Any, x: Any) -> Any:
    u, sv, vh = op(x, False)
    return sv, u * u, vh * vh


def _as_real(out: Any) -> Any:
    import tensorlite as tl

    return (tl.real(out), tl.imag(out)) if out.is_complex() else (out,)


def _of_complex(op: Any, a: Any, b: Any) -> Any:
    import tensorlite as tl

    return _as_real(op(tl.complex(a, b)))


# -- losses, normalisations, windows ----------------------------------------------------------------------------------


def nll(s: Source) -> Args:
    n, c = s.integer(1, 3), s.integer(2, 4)
    weight = s.array((c,), "positive") if s.boolean() else None
    target = s.indices((n,), c)
    target[0] = 1
    return s.array((n, c)), target, np.array(weight) if weight is not None else None, s.choice((-100, 0)), _how(s)


def cross_entropy(s: Source) -> Args:
    x, target, weight, ignored, how = nll(s)
    return x, target, weight, ignored, s.choice((0.0, 0.25)), how


def _how(s: Source) -> str:
    return s.choice(("mean", "sum", "none"))


def bce_logits(s: Source) -> Args:
    shape = s.shape(1, 2)
    return s.array(shape), s.array(shape, "probability"), (s.array((shape[-1],), "positive") if s.boolean() else None)


def same_shape(s: Source) -> Args:
    shape = s.shape()
    return s.array(shape), s.array(shape), s.choice((0.5, 1.0))


def bce(s: Source) -> Args:
    shape = s.shape()
    return s.array(shape, "probability"), s.array(shape, "probability")


def layer_norm(s: Source) -> Args:
    x = s.array(s.shape(1, 3, 2, 4))
    count = s.integer(1, x.ndim)
    shape = x.shape[x.ndim - count :]
    weight = s.array(shape) if s.boolean() else None
    return x, weight, (s.array(shape) if weight is not None and s.boolean() else None), 0.125, count


def rms_norm(s: Source) -> Args:
    x, weight, _, eps, count = layer_norm(s)
    return x, weight, eps, count


def standardize(s: Source) -> Args:
    x = s.array(s.shape(2, 3, 2, 3))
    return x, tuple(d % x.ndim for d in s.axes(x.ndim)), 0.125


def _window(s: Source, n: int, dims: int = 1) -> tuple[Any, ...]:
    kernel = tuple(s.integer(1, n) for _ in range(dims))
    return kernel, tuple(s.integer(1, 2) for _ in kernel), tuple(s.integer(0, k // 2) for k in kernel)


def _image(s: Source, dims: int) -> tuple[int, ...]:
    return (s.integer(1, 2), s.integer(1, 2), *(s.integer(3, 4) for _ in range(dims)))


def max_pool(s: Source) -> Args:
    dims = s.integer(1, 2)
    kernel, stride, padding = _window(s, 3, dims)
    return s.array(_image(s, dims)), kernel, stride, padding, (1,) * dims, s.boolean()


def adaptive(s: Source) -> Args:
    dims = s.integer(1, 2)
    return s.array(_image(s, dims)), tuple(s.integer(1, 3) for _ in range(dims))


def max_unpool(s: Source) -> Args:
    n, c, m = s.integer(1, 2), s.integer(1, 2), s.integer(1, 3)
    where = np.array([[s.permutation(m + 1)[:m] for _ in range(c)] for _ in range(n)], np.int64)
    return s.array((n, c, m)), where, (m + 1,)


def avg_pool(s: Source) -> Args:
    dims = s.integer(1, 2)
    kernel, stride, padding = _window(s, 3, dims)
    return s.array(_image(s, dims)), kernel, stride, padding, s.boolean(), s.boolean(), s.choice((None, 3))


def avg_pool_input(s: Source) -> Args:
    from ..ops.pool import avg_pool as forward

    shape, (kernel, stride, padding) = _image(s, 1), _window(s, 3)
    out = forward.forward(np.zeros(shape), kernel, stride, padding, False, True, None).shape
    return s.array(out), shape, kernel, stride, padding, False, True, None


def im2col(s: Source) -> Args:
    kernel, stride, padding = _window(s, 2, 2)
    return s.array(_image(s, 2)), kernel, (1, s.integer(1, 2)), padding, stride


def col2im(s: Source) -> Args:
    from ..ops.pool import im2col as forward

    shape = _image(s, 2)
    kernel, stride, padding = _window(s, 2, 2)
    columns = forward.forward(np.zeros(shape), kernel, (1, 1), padding, stride).shape
    return s.array(columns), shape[2:], kernel, (1, 1), padding, stride


def _convolution(s: Source) -> tuple[Any, ...]:
    dims, groups = s.integer(1, 2), s.integer(1, 2)
    n, c, o = s.integer(1, 2), groups * s.integer(1, 2), groups * s.integer(1, 2)
    kernel = tuple(s.integer(1, 2) for _ in range(dims))
    shape = (n, c, *(s.integer(3, 4) for _ in range(dims)))
    padding = tuple((s.integer(0, 1), s.integer(0, 1)) for _ in range(dims))
    settings = (
        tuple(s.integer(1, 2) for _ in range(dims)),
        padding,
        tuple(s.integer(1, 2) for _ in range(dims)),
        groups,
    )
    return shape, (o, c // groups, *kernel), settings


def _places(shape: Any, weight: Any, settings: Any) -> tuple[int, ...]:
    from ..ops.conv import output_size

    stride, padding, dilation, _ = settings
    sizes = zip(shape[2:], padding, weight[2:], stride, dilation, strict=True)
    return (shape[0], weight[0], *(output_size(n, p, k, st, d) for n, p, k, st, d in sizes))


def convolution(s: Source) -> Args:
    shape, weight, settings = _convolution(s)
    return s.array(shape), s.array(weight), *settings


def convolution_input(s: Source) -> Args:
    shape, weight, settings = _convolution(s)
    return s.array(_places(shape, weight, settings)), s.array(weight), shape, *settings


def convolution_weight(s: Source) -> Args:
    shape, weight, settings = _convolution(s)
    return s.array(_places(shape, weight, settings)), s.array(shape), weight, *settings


def copy_slices(s: Source) -> Args:
    from ..ops.index import getitem as viewing

    x = s.array(s.shape(1, 2))
    where = s.slice(x.shape[0])
    return x, s.array(x[where].shape), ((viewing, (where,), 0),)


def where(s: Source) -> Args:
    a, b, c = s.broadcastable(3)
    return s.mask(a), s.array(b), s.array(c)


def nextafter(s: Source) -> Args:
    a, b = s.broadcastable(2)
    return s.array(a), s.array(b) + 1 / 32  # never equal


def small_square(s: Source) -> Args:
    n = s.integer(1, 3)
    return (s.array((n, n)),)


def clamp(s: Source) -> Args:
    a, b = s.broadcastable(2)
    kind = s.integer(0, 2)
    low = None if kind == 1 else s.array(b, "unit") - 0.5
    return s.array(a), low, (None if kind == 2 else s.array(b, "unit") + 1.0)


D = Declared

DECLARED: dict[str, Declared] = {
    # activations
    "prelu": D(prelu),
    "glu": D(glu),
    "softmax": D(),
    "log_softmax": D(),
    "scaled_dot_product_attention": D(attention, second=True),
    # arithmetic
    "add": D(expression="{x} + {y}"),
    "sub": D(expression="{x} - {y}"),
    "pow": D(_many(2, "positive", "real"), expression="{x} ** {exponent}"),
    "where": D(where),
    "lerp": D(_many(3)),
    "addcmul": D(_many(3)),
    "addcdiv": D(_many(3, last="nonzero")),
    "clamp": D(clamp),
    "frexp": D(program=False),
    "nextafter": D(nextafter, method="richardson", program=False),
    "nan_to_num": D(lambda s: (_x(s),)),
    "logit": D(lambda s: (s.array(s.shape(), "probability"),)),
    "polygamma": D(lambda s: (s.array(s.shape(), "positive"), s.integer(1, 2)), expression="torch.polygamma({n}, {x})"),
    "zeta": D(lambda s: (s.choice((1.5, 2.25, 3.0)), s.array(s.shape(), "positive")), program=False),
    **{n: D(expression=f"torch.special.{n}({{x}})")
       for n in ["erfcx", "ndtr", "ndtri", "log_ndtr", "i0e", "i1", "i1e", "bessel_j0", "bessel_j1", "entr"]},
    "spherical_bessel_j0": D(expression="torch.special.spherical_bessel_j0({x})"),
    "xlog1py": D(expression="torch.special.xlog1py({x}, {y})"),
    # complex numbers on the way
    "complex": D(lambda s: ((a := s.shape()) is not None and (s.array(a), s.array(a))),
                 lambda op, a, b: _as_real(op(a, b)), method="richardson", program=False),
    **{n: D(lambda s: ((a := s.shape()) is not None and (s.array(a, "nonzero"), s.array(a, "nonzero"))),
            _of_complex, method="richardson", program=False) for n in ("real", "imag", "conj", "angle", "view_as_real")},
    "view_as_complex": D(lambda s: ((a := s.shape()) is not None and (s.array((*a, 2)),)), lambda op, a: _as_real(op(a)),
                         method="richardson", program=False),
    # shapes
    "cast": D(lambda s: (_x(s), np.dtype(np.float64)), program=False),
    "reshape": D(reshape),
    "view": D(reshape, expression="{x}.contiguous().view({size})", program=False),
    "transpose": D(transpose),
    "clone": D(lambda s: (_x(s),)),
    "permute": D(permute),
    "expand": D(expand, expression="{x}.expand({size})"),
    "squeeze": D(squeeze),
    "unsqueeze": D(unsqueeze),
    "movedim": D(movedim),
    "unflatten": D(unflatten),
    "diagonal": D(diagonal),
    "diagonal_scatter": D(diagonal_scatter),
    "diag_embed": D(diag_embed),
    "unfold": D(unfold),
    "fold_windows": D(fold_windows),
    "as_strided": D(as_strided, program=False),
    "sum_to_size": D(sum_to_size, expression="{x}.sum_to_size({size})"),
    "flip": D(lambda s: ((x := _x(s, 1)), s.axes(x.ndim))),
    "roll": D(roll),
    "tril": D(lambda s: (_x(s, 2), s.integer(-1, 1))),
    "triu": D(lambda s: (_x(s, 2), s.integer(-1, 1))),
    "repeat": D(lambda s: ((x := _x(s, 0, 2)), tuple(s.integer(1, 2) for _ in range(x.ndim + s.integer(0, 1))))),
    "repeat_interleave": D(repeat_interleave),
    "constant_pad_nd": D(pad, expression="F.pad({x}, {pad}, 'constant', {value})"),
    # joining and splitting
    "cat": D(cat),
    "stack": D(stack),
    "split": D(chunked),
    "split_with_sizes": D(split_sizes),
    "chunk": D(chunked),
    "tensor_split": D(chunked),
    "unbind": D(lambda s: ((x := _x(s, 1)), s.axis(x.ndim))),
    # indices
    "getitem": D(getitem),
    "put_at": D(put_at),
    "setitem": D(setitem),
    "index_put": D(index_put),
    "copy_slices": D(copy_slices, program=False),
    "gather": D(gathered),
    "scatter_add": D(scattered),
    "scatter_write": D(scattered, expression="torch.scatter({x}, {dim}, {index}, {src})"),
    "scatter_reduce": D(scatter_reduce, expression="torch.scatter_reduce({x}, {dim}, {index}, {src}, {reduce}{?include_self})"
                        .replace("{?include_self}", ", {?include_self}")),
    "index_select": D(rows),
    "index_add": D(row_source),
    "index_copy": D(row_source),
    "index_fill": D(lambda s: (*rows(s), 0.5)),
    "masked_fill": D(lambda s: ((x := _x(s)), s.mask(x.shape), 0.5)),
    "masked_select": D(lambda s: ((x := _x(s)), s.mask(x.shape))),
    "masked_scatter": D(masked_scatter),
    "take": D(flat),
    "put": D(put),
    "take_along": D(along),
    "take_along_dim": D(along),
    "put_along": D(put_along),
    "embedding": D(embedding, expression="F.embedding({x}, {weight}{?padding_idx})".replace("{?p", ", {?p")),
    # reductions and order
    "sum": D(),
    "var": D(lambda s: ((x := s.array(s.shape(1, 3, 2, 3))), s.reduced(x.ndim), s.integer(0, 1), s.boolean()),
             expression="torch.var({x}, {dim}, correction={correction}, keepdim={keepdim})"),
    "std": D(lambda s: ((x := s.array(s.shape(1, 3, 2, 3))), s.reduced(x.ndim), s.integer(0, 1), s.boolean()),
             expression="torch.std({x}, {dim}, correction={correction}, keepdim={keepdim})"),
    "vector_norm": D(lambda s: ((x := _x(s, 1)), s.choice((2, 1, 3, float("inf"))), s.reduced(x.ndim), s.boolean()),
                     expression="torch.linalg.vector_norm({x}, {ord}, {dim}, {keepdim})"),
    "prod": D(lambda s: ((x := _x(s, 1)), s.axis(x.ndim), s.boolean())),
    "amax": D(lambda s: ((x := _x(s, 1)), s.axes(x.ndim), s.boolean())),
    "amin": D(lambda s: ((x := _x(s, 1)), s.axes(x.ndim), s.boolean())),
    "max_along": D(expression="torch.max({x}, {dim}, {keepdim})"),
    "min_along": D(expression="torch.min({x}, {dim}, {keepdim})"),
    "median_along": D(expression="torch.median({x}, {dim}, {keepdim})"),
    "nanmedian_along": D(expression="torch.nanmedian({x}, {dim}, {keepdim})"),
    "median_all": D(lambda s: (_x(s),), expression="torch.median({x})"),
    "nanmedian_all": D(lambda s: (_x(s),), expression="torch.nanmedian({x})"),
    "kthvalue": D(kth),
    "mode": D(lambda s: ((x := _x(s, 1)), s.axis(x.ndim))),
    "sort": D(lambda s: ((x := _x(s, 1)), s.axis(x.ndim), s.boolean(), True), expression="torch.sort({x}, stable=True{?dim}{?descending})"
              .replace("{?d", ", {?d")),
    "topk": D(lambda s: (*kth(s)[:3], s.boolean())),
    "trace": D(lambda s: (s.array((s.integer(1, 3), s.integer(1, 3))),)),
    # linear algebra
    "matmul": D(matmul),
    "linear": D(linear, expression="F.linear({x}, {weight}, {bias})"),
    "inv": D(square, expression="torch.linalg.inv({x})"),
    "det": D(square, expression="torch.linalg.det({x})"),
    "slogdet": D(square, expression="torch.linalg.slogdet({x})"),
    "solve": D(solve, expression="torch.linalg.solve({a}, {b})"),
    "solve_triangular": D(triangular, expression="torch.linalg.solve_triangular({a}, {b}, upper={upper})"),
    "cholesky_solve": D(cholesky_solve, lambda op, x, L, upper: op(x, L.tril(), upper)),
    "pinv": D(tall, expression="torch.linalg.pinv({x})"),
    "matrix_exp": D(small_square),
    "cholesky": D(square, symmetric(lambda out: out), program=False),
    "eigh": D(square, symmetric(_eigh), program=False),
    "eigvalsh": D(square, symmetric(lambda out: out), program=False),
    "eig": D(square, _eig, method="richardson", program=False),
    "svd": D(square, _svd, program=False),
    "svdvals": D(square, expression="torch.linalg.svdvals({x})", program=False),
    "qr": D(tall, program=False),
    "lu": D(square, lambda op, x: op(x)[1:], program=False),
    # layers
    "dropout": D(lambda s: (_x(s), 0.25, s.integer(0, 9))),
    "fill_random": D(lambda s: ((x := _x(s)), np.ones(x.shape)), program=False),
    "nll": D(nll, expression="F.nll_loss({x}, {target}, {weight}, ignore_index={ignore_index}, reduction={reduction})"),
    "cross_entropy": D(cross_entropy, expression="F.cross_entropy({x}, {target}, {weight}, ignore_index={ignore_index}, "
                       "label_smoothing={label_smoothing}, reduction={reduction})"),
    "bce": D(bce, expression="F.binary_cross_entropy({x}, {target}, reduction='none')"),
    "bce_logits": D(bce_logits),
    "huber": D(same_shape, expression="F.huber_loss({x}, {y}, reduction='none', delta={delta})"),
    "smooth_l1": D(same_shape, expression="F.smooth_l1_loss({x}, {y}, reduction='none', beta={beta})"),
    "layer_norm": D(layer_norm),
    "rms_norm": D(rms_norm),
    "standardize": D(standardize, lambda op, x, dims, eps: op(x, dims, eps)[0]),
    "max_pool": D(max_pool),
    "adaptive_max_pool": D(adaptive),
    "max_unpool": D(max_unpool),
    "avg_pool": D(avg_pool),
    "avg_pool_input": D(avg_pool_input),
    "im2col": D(im2col),
    "col2im": D(col2im),
    "convolution": D(convolution),
    "convolution_input": D(convolution_input),
    "convolution_weight": D(convolution_weight),
}  # fmt: skip
