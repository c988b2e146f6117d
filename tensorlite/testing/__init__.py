"""Property-testing gradients: is the gradient that backward computes the derivative of what forward computes?

    from tensorlite.testing import gradcheck, check_op, st, random_programs

`gradcheck` checks a function of tensorlite or torch tensors; `check_op` an op of the table in every layer; `random_programs` and
`st.programs()` make whole programs; `assert_grad_invariants`, `check_module`, `check_optimizer` and `differential` check what is not a
number. `st` are the hypothesis strategies; hypothesis is imported only when they are used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..autograd.checking import GradcheckError
from .blaming import blame
from .checking import gradcheck, gradgradcheck
from .comparing import Comparison, differential
from .components import check_module, check_optimizer
from .conventions import CONVENTIONS
from .invariants import assert_grad_invariants, check_op, find_failure
from .programs import Program, generate, random_programs, soak
from .reducing import reduce
from .report import Blame, GradReport, Worst
from .source import RandomSource, Source
from .specs import OpSpec, all_specs, missing_specs, spec_of

if TYPE_CHECKING:
    from . import strategies as st
    from .machine import NumpyMachine, TensorMachine

__all__ = [
    "gradcheck",
    "gradgradcheck",
    "GradReport",
    "GradcheckError",
    "Worst",
    "Blame",
    "blame",
    "check_op",
    "check_module",
    "check_optimizer",
    "assert_grad_invariants",
    "find_failure",
    "differential",
    "Comparison",
    "CONVENTIONS",
    "Program",
    "generate",
    "random_programs",
    "reduce",
    "soak",
    "OpSpec",
    "all_specs",
    "missing_specs",
    "spec_of",
    "Source",
    "RandomSource",
    "st",
    "TensorMachine",
    "NumpyMachine",
]


def __getattr__(name: str) -> Any:
    if name not in ("st", "TensorMachine", "NumpyMachine"):
        raise AttributeError(f"module 'tensorlite.testing' has no attribute '{name}'")
    try:
        if name == "st":
            from . import strategies

            globals()["st"] = strategies
            return strategies
        from . import machine

        return getattr(machine, name)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "hypothesis":
            raise
        raise ImportError(
            f"tensorlite.testing.{name} needs hypothesis, which is not installed: pip install 'claimsformer[testing]'"
        ) from error
