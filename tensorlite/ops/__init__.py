"""The op table: every differentiable function is declared here once, as a forward on ndarrays and its gradient rules.

`table` says what a declaration is; the other modules are the derivative table itself, by family. The families that every program needs are
loaded with the package, the others when a name that is not there yet is asked for: `load_all()` fills `OPS` completely.
"""

import importlib

from .table import OPS, Op, op

CORE = ("basic", "compare", "elementwise", "index", "linalg", "reduce", "rounding", "shape")
FURTHER = (
    "activation", "along", "attention", "complex", "conv", "cumulative", "decompositions", "dropout", "embedding", "extrema", "fill", "gather", "join",
    "linear", "loss", "masked", "norm", "pairwise", "pool", "rearrange", "scatter_reduce", "slices", "softmax", "solve", "sort", "sparse", "special", "take",
)  # fmt: skip


def load_all() -> None:
    """Load the families that have not been needed so far."""
    for family in FURTHER:
        importlib.import_module(f"{__name__}.{family}")


for _family in CORE:
    importlib.import_module(f"{__name__}.{_family}")
OPS.load_all = load_all

__all__ = ["OPS", "Op", "load_all", "op"]
