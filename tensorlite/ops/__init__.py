"""The op table: every differentiable function is declared here once, as a forward on ndarrays and its gradient rules.

`table` says what a declaration is; the other modules are the derivative table itself, by family. Importing this package fills `OPS`.
"""

import importlib

from .table import OPS, Op, op

FAMILIES = (
    "activation", "along", "attention", "basic", "compare", "conv", "cumulative", "decompositions", "dropout",
    "elementwise", "embedding", "extrema", "fill", "gather", "index", "join", "linalg", "linear", "loss", "norm",
    "pool", "rearrange", "reduce", "shape", "softmax", "solve", "sort", "special",
)

for _family in FAMILIES:
    importlib.import_module(f"{__name__}.{_family}")

__all__ = ["FAMILIES", "OPS", "Op", "op"]
