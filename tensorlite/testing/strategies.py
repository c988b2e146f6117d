"""Hypothesis strategies for everything that the ops of a tensor library take. Import as `from tensorlite.testing import st`.

Arrays are made from a few bytes each, so they are fast to draw and shrink to zeros; no element is filled in with a repeated default.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as hs
from hypothesis.strategies import SearchStrategy

from ..ops.table import Op
from .backends import TENSORLITE
from .programs import Program, generate
from .source import DOMAINS, ELEMENTS, DrawSource, Shape
from .source import Source as Source
from .specs import spec_of

__all__ = [
    "ELEMENTS",
    "LAYOUTS",
    "arrays",
    "attention_masks",
    "axes",
    "broadcastable",
    "drawn",
    "dtypes",
    "indices",
    "masks",
    "matmul_operands",
    "modules",
    "op_arguments",
    "optimizers",
    "permutations_noninvolutive",
    "programs",
    "shapes",
    "slices",
    "tensors",
]

LAYOUTS = ("contiguous", "transposed", "strided", "reversed", "stride0", "readonly")


def __dir__() -> list[str]:
    return __all__


def drawn(make: Callable[[DrawSource], Any], elements: str = "grid") -> SearchStrategy[Any]:
    """A strategy from a function of a `Source`."""

    @hs.composite
    def strategy(draw: Any) -> Any:
        return make(DrawSource(draw, elements))

    return strategy()


def shapes(min_dims: int = 0, max_dims: int = 3, min_side: int = 1, max_side: int = 3) -> SearchStrategy[Shape]:
    """Shapes; sides of 0 only if asked for with `min_side=0`."""
    return drawn(lambda s: s.shape(min_dims, max_dims, min_side, max_side))


def broadcastable(n: int, patterns: Sequence[str] = ("same", "one", "missing")) -> SearchStrategy[list[Shape]]:
    """`n` shapes that broadcast together; each axis of each is the full size ("same"), 1 ("one") or left out ("missing")."""
    unknown = set(patterns) - {"same", "one", "missing"}
    if unknown:
        raise ValueError(f"patterns are 'same', 'one' and 'missing', got {sorted(unknown)}")
    return drawn(lambda s: s.broadcastable(n, patterns))


def matmul_operands(elements: str = "grid") -> SearchStrategy[tuple[Any, Any]]:
    """Two arrays that matmul takes: every batch axis on both sides, 1 on one side, or missing on one side; also vectors."""
    return drawn(lambda s: tuple(s.array(shape) for shape in s.matmul_shapes()), _known(elements))


def axes(ndim: int, min_count: int = 1) -> SearchStrategy[tuple[int, ...]]:
    """Distinct dims of an array with `ndim` dims, counted from either end."""
    return drawn(lambda s: s.axes(ndim, min_count))


def permutations_noninvolutive(n: int) -> SearchStrategy[tuple[int, ...]]:
    """Permutations of `range(n)` that differ from their inverse. Raises ValueError for n < 3: there is none."""
    if n < 3:
        raise ValueError(f"every permutation of fewer than 3 dims is its own inverse, got n={n}")
    return drawn(lambda s: s.noninvolutive(n))


def indices(shape: Shape, size: int, duplicates: bool = True) -> SearchStrategy[Any]:
    """int64 positions in `range(size)`; without `duplicates` they are distinct (raises ValueError where that is impossible)."""
    count = int(np.prod(shape))
    if duplicates:
        return drawn(lambda s: s.indices(shape, size))
    if count > size:
        raise ValueError(f"{count} distinct positions do not fit into range({size})")
    return drawn(lambda s: np.array(s.permutation(size)[:count], np.int64).reshape(shape))


def slices(n: int) -> SearchStrategy[slice]:
    """Slices of `range(n)` with steps of either sign and open ends."""
    return drawn(lambda s: s.slice(n))


def masks(shape: Shape) -> SearchStrategy[Any]:
    """Boolean arrays, about half true."""
    return drawn(lambda s: s.mask(shape))


def attention_masks(t: int, s: int, causal: bool | None = None, empty_rows: bool = False) -> SearchStrategy[Any]:
    """Boolean masks `(t, s)`, true where attention is allowed; every row has an allowed place unless `empty_rows`."""

    def make(source: DrawSource) -> Any:
        mask = source.mask((t, s))
        if causal if causal is not None else source.boolean():
            mask &= np.tri(t, s, dtype=bool)
        if not empty_rows and s:
            mask[:, 0] |= ~mask.any(axis=1)
        return mask

    return drawn(make)


def dtypes(kinds: str = "fiub") -> SearchStrategy[np.dtype[Any]]:
    """NumPy dtypes of the kinds "f" (float32, float64, float16), "i", "u" (uint8), "b", "c"."""
    by_kind = {
        "f": "float32 float64 float16",
        "i": "int64 int32 int16 int8",
        "u": "uint8",
        "b": "bool",
        "c": "complex64 complex128",
    }
    return hs.sampled_from([np.dtype(name) for kind in kinds for name in by_kind[kind].split()])


def arrays(
    shape: Shape | SearchStrategy[Shape] | None = None,
    *,
    elements: str = "grid",
    domain: str = "real",
    dtype: Any = np.float64,
    layouts: Sequence[str] = ("contiguous",),
) -> SearchStrategy[Any]:
    """Float arrays.

    Args:
        elements: "grid" (multiples of 1/16 in [-2, 2)), "coarse" (multiples of 1/2, rich in ties), "floats" (down to 2^-80), "extreme" (1e±30).
        domain: "real", "positive", "nonzero", "unit" (inside (-1, 1)), "above_one" or "probability".
        layouts: how they may lie in memory: "contiguous", "transposed", "strided", "reversed", "stride0" (one value broadcast), "readonly".
    """
    _known(elements)
    if domain not in DOMAINS or set(layouts) - set(LAYOUTS):
        raise ValueError(f"domains are {sorted(DOMAINS)}, layouts {LAYOUTS}; got {domain!r}, {layouts!r}")

    @hs.composite
    def strategy(draw: Any) -> Any:
        source = DrawSource(draw, _known(elements))
        size = source.shape() if shape is None else draw(shape) if isinstance(shape, SearchStrategy) else shape
        return _laid_out(source.array(size, domain).astype(dtype), source.choice(list(layouts)))

    return strategy()


def tensors(
    shape: Shape | SearchStrategy[Shape] | None = None, *, requires_grad: bool = True, **options: Any
) -> SearchStrategy[Any]:
    """tensorlite tensors; the options are those of `arrays`."""
    return arrays(shape, **options).map(lambda a: TENSORLITE.leaf(a, requires_grad))


def _laid_out(array: Any, layout: str) -> Any:
    if layout == "transposed":
        return np.asfortranarray(array)
    if layout == "strided":
        wide = np.zeros((*array.shape, 2), array.dtype)
        wide[..., 0] = array
        return wide[..., 0]
    if layout == "reversed":
        turned = tuple(slice(None, None, -1) for _ in array.shape)
        return array[turned].copy()[turned]
    if layout == "stride0":
        return np.broadcast_to(array.reshape(-1)[:1].reshape(()), array.shape) if array.size else array
    if layout == "readonly":
        array.flags.writeable = False
    return array


def _known(elements: str) -> str:
    if elements not in ELEMENTS:
        raise ValueError(f"elements are {ELEMENTS}, got {elements!r}")
    return elements


def op_arguments(op: Op | str, elements: str = "grid") -> SearchStrategy[tuple[Any, ...]]:
    """Positional arguments of an op of the table, from its spec."""
    return drawn(spec_of(op).arguments, _known(elements))


def programs(
    ops: Sequence[str] | None = None, max_ops: int = 8, must: str | None = None, elements: str = "grid"
) -> SearchStrategy[Program]:
    """Random programs over the op table; `must` names an op that has to be in each."""
    return drawn(lambda s: generate(s, ops=ops, max_ops=max_ops, must=must), _known(elements))


def modules() -> SearchStrategy[tuple[Any, tuple[Any, ...]]]:
    """(module in float64, inputs): layers and small stacks of them, with inputs of a shape they take."""
    return drawn(_module)


def _module(s: DrawSource) -> tuple[Any, tuple[Any, ...]]:
    from .. import nn, random

    n, d, h = s.integer(1, 3), s.integer(1, 4), s.integer(1, 4)
    random.manual_seed(s.integer(0, 999))
    makers: list[Callable[[], tuple[Any, Shape]]] = [
        lambda: (nn.Linear(d, h, bias=s.boolean()), (n, d)),
        lambda: (nn.Sequential(nn.Linear(d, h), nn.Tanh(), nn.Linear(h, 1)), (n, d)),
        lambda: (nn.Sequential(nn.Linear(d, h), nn.GELU(), nn.LayerNorm(h)), (n, d)),
        lambda: (nn.LayerNorm(d + 1), (n, d + 1)),
        lambda: (nn.Conv1d(d, h, 2, padding=1), (n, d, 3)),
        lambda: (nn.Bilinear(d, d, h), (n, d)) if hasattr(nn, "Bilinear") else (nn.Linear(d, h), (n, d)),
    ]
    module, shape = s.choice(makers)()
    count = 2 if type(module).__name__ == "Bilinear" else 1
    return module.double(), tuple(TENSORLITE.leaf(s.array(shape)) for _ in range(count))


def optimizers() -> SearchStrategy[tuple[str, dict[str, Any]]]:
    """(name in `tensorlite.optim` and `torch.optim`, options) of an optimizer."""

    def make(s: DrawSource) -> tuple[str, dict[str, Any]]:
        rate = s.choice((0.1, 0.01))
        decay = s.choice((0.0, 0.1))
        momentum = s.choice((0.0, 0.9))
        options: list[tuple[str, dict[str, Any]]] = [
            ("SGD", {"momentum": momentum, "nesterov": momentum > 0 and s.boolean()}),
            ("Adam", {"amsgrad": s.boolean()}),
            ("AdamW", {"betas": s.choice(((0.9, 0.999), (0.5, 0.9)))}),
            ("RMSprop", {"momentum": momentum, "centered": s.boolean()}),
            ("Adagrad", {}),
        ]
        name, extra = s.choice(options)
        return name, {"lr": rate, "weight_decay": decay, **extra}

    return drawn(make)
