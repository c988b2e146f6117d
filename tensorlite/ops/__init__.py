"""The op table: every differentiable function is declared here once, as a forward on ndarrays and its gradient rules.

`table` says what a declaration is; the other modules are the derivative table itself, by family.
"""

from .table import OPS, Op, op

__all__ = ["OPS", "Op", "op"]
