"""torch's own op database, run through tensorlite.

For an OpInfo of `torch.testing._internal.common_methods_invocations.op_db` every float64 sample is converted to tensorlite, and compared with
torch: the forward, the vector-Jacobian product with a random cotangent, and the derivative of that (double backward) where torch has one.

    python -m tests.conformance.opinfo                 # a table of all ops that tensorlite has
    python -m tests.conformance.opinfo add linalg.inv  # these, with the first lines of each failure
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import torch

import tensorlite as tl

from .exceptions import EXCEPTIONS

warnings.filterwarnings("ignore")


@cache
def database() -> list[Any]:
    """The OpInfos, one for each name and variant."""
    from torch.testing._internal.common_methods_invocations import op_db

    return list(op_db)


# -- converting -------------------------------------------------------------------------------------------------------

_DTYPES = {
    getattr(torch, d.name): d
    for d in (
        tl.float16,
        tl.float32,
        tl.float64,
        tl.int8,
        tl.int16,
        tl.int32,
        tl.int64,
        tl.uint8,
        tl.complex64,
        tl.complex128,
    )
}
_DTYPES[torch.bool] = tl.bool


class NotRepresentable(Exception):
    """A sample that uses something no NumPy library has (bfloat16, sparse layouts, named tensors)."""


def to_tensorlite(value: Any) -> Any:
    """A torch argument as the tensorlite argument that means the same."""
    if isinstance(value, torch.Tensor):
        if value.dtype not in _DTYPES or value.layout != torch.strided:
            raise NotRepresentable(f"{value.dtype} {value.layout}")
        if value.ndim > 64:
            raise NotRepresentable(f"{value.ndim} dims; NumPy has at most 64")
        array = value.detach().resolve_conj().resolve_neg().numpy()
        t = tl.from_numpy(array if any(s == 0 for s in array.strides) else array.copy(order="K"))
        return t.requires_grad_() if value.requires_grad else t
    if isinstance(value, torch.dtype):
        if value not in _DTYPES:
            raise NotRepresentable(str(value))
        return _DTYPES[value]
    if isinstance(value, torch.device):
        return "cpu"
    if isinstance(value, torch.Generator):
        raise NotRepresentable("a torch Generator")
    if isinstance(value, torch.nn.Module):
        raise NotRepresentable("a torch module as an argument")
    if isinstance(value, torch.Size):
        return tuple(value)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(to_tensorlite(v) for v in value))
    if isinstance(value, list | tuple):
        return type(value)(to_tensorlite(v) for v in value)
    if isinstance(value, dict):
        return {k: to_tensorlite(v) for k, v in value.items() if not isinstance(v, torch.memory_format | torch.layout)}
    return value


def tensors_in(value: Any, kind: type) -> Iterator[Any]:
    """The tensors in nested arguments or results, in order."""
    if isinstance(value, kind):
        yield value
    elif isinstance(value, list | tuple):
        for v in value:
            yield from tensors_in(v, kind)
    elif isinstance(value, dict):
        for v in value.values():
            yield from tensors_in(v, kind)


# OpInfos whose samples are written for another order of arguments than the function's own.
_CALLS: dict[str, Callable[..., Any]] = {
    "where": lambda x, condition, y: tl.where(condition, x, y),
    "nn.functional.embedding": lambda weight, index, **k: tl.nn.functional.embedding(index, weight, **k),
    "nn.functional.embedding_bag": lambda weight, index, **k: tl.nn.functional.embedding_bag(index, weight, **k),
    "einsum": lambda tensors, equation: tl.einsum(equation, *tensors),
    "linalg.pinv:singular": lambda a, b: tl.linalg.pinv(a @ b.mT),
    "linalg.lstsq:grad_oriented": lambda a, b, driver: tl.linalg.lstsq(a, b, driver=driver)[:2],
    "polygamma": lambda x, n: tl.polygamma(n, x),
    "special.polygamma": lambda x, n: tl.special.polygamma(n, x),
    "zero_": lambda x: x.clone().zero_(),
    "normal:in_place": lambda x, mean, std: x.clone().normal_(mean, std),
}

# Results that cannot be the same numbers: random ones, whose streams are not torch's, and uninitialised memory. As in torch's own tests of
# them, shape and dtype are compared.
UNPREDICTABLE = frozenset(
    [
        "bernoulli",
        "cauchy",
        "empty",
        "empty_like",
        "empty_permuted",
        "empty_strided",
        "exponential",
        "geometric",
        "log_normal",
        "multinomial",
        "new_empty",
        "new_empty_strided",
        "normal",
        "poisson",
        "rand_like",
        "randint",
        "randint_like",
        "randn",
        "randn_like",
        "uniform",
        "nn.functional.alpha_dropout",
        "nn.functional.dropout",
        "nn.functional.dropout2d",
        "nn.functional.dropout3d",
        "nn.functional.feature_alpha_dropout",
        "nn.functional.rrelu",
    ]
)


def find(name: str) -> Callable[..., Any] | None:
    """tensorlite's function or method of an OpInfo's name."""
    if name in _CALLS:
        return _CALLS[name]
    path = name.split(".")
    found: Any = tl
    for part in path:
        try:
            found = getattr(found, part)
        except (AttributeError, ImportError):
            found = None
            break
    if callable(found):
        return found  # type: ignore[no-any-return]
    if len(path) == 1 and name in dir(tl.Tensor):
        attribute = getattr(tl.Tensor, name)
        if isinstance(attribute, property):
            return lambda x: getattr(x, name)
        return lambda x, *a, **k: getattr(x, name)(*a, **k)
    return None


# -- comparing --------------------------------------------------------------------------------------------------------


@dataclass
class Outcome:
    """What happened to the samples of one OpInfo."""

    name: str
    passed: int = 0
    total: int = 0
    skipped: int = 0
    failures: list[str] = field(default_factory=list)


def values(result: Any, kind: type) -> list[Any]:
    """The tensors of a result as ndarrays."""
    if kind is not torch.Tensor:
        return [(t.to_dense() if t.is_sparse else t).detach().numpy() for t in tensors_in(result, kind)]
    found = [
        (t.to_dense() if t.is_sparse else t).detach().resolve_conj().resolve_neg() for t in tensors_in(result, kind)
    ]
    if any(t.dtype not in _DTYPES for t in found):
        raise NotRepresentable(f"a result of dtype {[t.dtype for t in found]}")
    return [t.numpy(force=True) for t in found]


def assert_same(ours: list[Any], theirs: list[Any], what: str, rtol: float, atol: float) -> None:
    assert len(ours) == len(theirs), f"{what}: {len(ours)} tensors, torch gives {len(theirs)}"
    for i, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        assert a.shape == b.shape, f"{what} {i}: shape {a.shape}, torch {b.shape}"
        assert a.dtype == b.dtype, f"{what} {i}: dtype {a.dtype}, torch {b.dtype}"
        if a.dtype in (np.float32, np.complex64):  # a narrow argument among float64 ones
            rtol, atol = max(rtol, 1e-4), max(atol, 1e-4)
        if not np.allclose(a, b, rtol=rtol, atol=atol, equal_nan=True):
            with np.errstate(all="ignore"):
                worst = np.nanmax(np.abs(a.astype(complex) - b.astype(complex))) if a.size else 0
            raise AssertionError(f"{what} {i}: differs by {worst:.3g}")


def check_sample(
    opinfo: Any, function: Callable[..., Any], sample: Any, seed: int, tolerance: tuple[float, float] = (1e-7, 1e-9)
) -> None:
    """Raise AssertionError where tensorlite and torch disagree on one sample."""
    rtol, atol = tolerance
    rng = np.random.default_rng(seed)
    arguments = (sample.input, *sample.args)
    kwargs = sample.kwargs
    args_ours = to_tensorlite(arguments)
    kwargs_ours = to_tensorlite(kwargs)
    process = sample.output_process_fn_grad or (lambda x: x)
    theirs = opinfo(*arguments, **kwargs)
    ours = function(*args_ours, **kwargs_ours)
    if opinfo.name in UNPREDICTABLE and not _deterministic(kwargs):
        a, b = (
            [(t.shape, str(t.dtype)) for t in values(r, kind)]
            for r, kind in ((ours, tl.Tensor), (theirs, torch.Tensor))
        )
        assert a == b, f"{a}, torch {b}"
        return
    compare_raw = not opinfo.name.startswith(_AMBIGUOUS)
    if compare_raw:
        assert_same(values(ours, tl.Tensor), values(theirs, torch.Tensor), "output", rtol, atol)
    theirs, ours = process(theirs), process(ours)
    if not compare_raw:
        assert_same(values(ours, tl.Tensor), values(theirs, torch.Tensor), "processed output", rtol, atol)
    inputs_t = [t for t in tensors_in((arguments, kwargs), torch.Tensor) if t.requires_grad and t.is_leaf]
    inputs_l = [t for t in tensors_in((args_ours, kwargs_ours), tl.Tensor) if t.requires_grad]
    outputs_t = [t for t in tensors_in(theirs, torch.Tensor) if t.requires_grad]
    if not inputs_t or not outputs_t or not opinfo.supports_autograd:
        return
    outputs_l = [t for t in tensors_in(ours, tl.Tensor) if t.requires_grad]
    assert len(outputs_l) == len(outputs_t), f"{len(outputs_l)} outputs require grad, torch has {len(outputs_t)}"
    cotangents = [_random(rng, o.shape, o.dtype) for o in outputs_t]
    second = opinfo.supports_gradgrad
    g_t = torch.autograd.grad(
        outputs_t,
        inputs_t,
        [torch.from_numpy(c) for c in cotangents],
        create_graph=second,
        allow_unused=True,
        materialize_grads=True,
    )
    g_l = tl.autograd.grad(
        outputs_l,
        inputs_l,
        [tl.from_numpy(c) for c in cotangents],
        retain_graph=True,
        allow_unused=True,
        materialize_grads=True,
    )
    assert_same(values(g_l, tl.Tensor), values(g_t, torch.Tensor), "gradient", rtol, atol)
    if not second:
        return
    roots = [i for i, g in enumerate(g_t) if g.requires_grad]
    if not roots:
        return
    weights = [_random(rng, g_t[i].shape, g_t[i].dtype) for i in roots]
    try:
        h_t = torch.autograd.grad(
            [g_t[i] for i in roots],
            inputs_t,
            [torch.from_numpy(w) for w in weights],
            allow_unused=True,
            materialize_grads=True,
        )
    except (RuntimeError, NotImplementedError):
        return  # torch itself cannot
    g_l = tl.autograd.grad(
        outputs_l,
        inputs_l,
        [tl.from_numpy(c) for c in cotangents],
        create_graph=True,
        allow_unused=True,
        materialize_grads=True,
    )
    total = sum(
        (
            (g_l[i] * tl.from_numpy(w)).sum()
            if not np.iscomplexobj(w)
            else (g_l[i] * tl.from_numpy(w.conj())).sum().real
            for i, w in zip(roots, weights, strict=True)
        ),
        tl.zeros(()),
    )
    h_l = (
        tl.autograd.grad(total, inputs_l, allow_unused=True, materialize_grads=True)
        if total.requires_grad
        else [tl.zeros_like(t) for t in inputs_l]
    )
    assert_same(values(h_l, tl.Tensor), values(h_t, torch.Tensor), "second derivative", rtol * 10, atol * 10)


def _deterministic(kwargs: dict[str, Any]) -> bool:
    """Dropout that drops nothing can be compared number by number."""
    return kwargs.get("training") is False or kwargs.get("p") == 0.0


_AMBIGUOUS = ("linalg.eigh", "linalg.svd", "svd", "linalg.eig", "linalg.qr", "qr", "pca_lowrank", "svd_lowrank")


def _random(rng: np.random.Generator, shape: Any, dtype: torch.dtype) -> Any:
    x = rng.standard_normal(tuple(shape))
    if dtype.is_complex:
        x = x + 1j * rng.standard_normal(tuple(shape))
    return np.asarray(x).astype(str(dtype).removeprefix("torch."))


def function_of(opinfo: Any) -> Callable[..., Any] | None:
    """tensorlite's function for an OpInfo and its variant."""
    return find(f"{opinfo.name}:{opinfo.variant_test_name}") or find(opinfo.name)


def run(opinfo: Any, dtype: torch.dtype = torch.float64, limit: int | None = None) -> Outcome | None:
    """All samples of one OpInfo; None if tensorlite does not have the op or torch has no such samples."""
    function = function_of(opinfo)
    if function is None or dtype not in opinfo.dtypes:
        return None
    variant = opinfo.name + (f":{opinfo.variant_test_name}" if opinfo.variant_test_name else "")
    outcome = Outcome(variant)
    torch.manual_seed(0)
    requires_grad = opinfo.supports_autograd and (dtype.is_floating_point or dtype.is_complex)
    for i, sample in enumerate(opinfo.sample_inputs("cpu", dtype, requires_grad=requires_grad)):
        if limit is not None and i >= limit:
            break
        outcome.total += 1
        try:
            check_sample(opinfo, function, sample, seed=i)
            outcome.passed += 1
        except NotRepresentable as error:
            outcome.total -= 1
            outcome.skipped += 1
            _ = error
        except Exception as error:
            text = f"{type(error).__name__}: {error}".splitlines()[0]
            outcome.failures.append(f"#{i} {_describe(sample)}: {text}")
    return outcome


def _describe(sample: Any) -> str:
    def one(v: Any) -> str:
        return f"{str(v.dtype).removeprefix('torch.')}{list(v.shape)}" if isinstance(v, torch.Tensor) else repr(v)

    parts = [one(sample.input) if not isinstance(sample.input, list | tuple) else str([one(v) for v in sample.input])]
    parts += [one(a) for a in sample.args] + [f"{k}={one(v)}" for k, v in sample.kwargs.items()]
    return "(" + ", ".join(parts)[:150] + ")"


def main(names: list[str]) -> int:
    """Print what happens to the named ops, or to all."""
    passed = total = 0
    covered = set()
    for opinfo in database():
        if names and opinfo.name not in names:
            continue
        outcome = run(opinfo)
        if outcome is None:
            if names:
                print(f"{opinfo.name}: not in tensorlite, or no float64 samples")
            continue
        excepted = opinfo.name in EXCEPTIONS
        passed, total = passed + outcome.passed, total + outcome.total
        if outcome.total:
            covered.add(opinfo.name)
        if names or outcome.passed < outcome.total:
            print(f"{outcome.name}: {outcome.passed}/{outcome.total}{' (excepted)' if excepted else ''}", flush=True)
            for line in outcome.failures[: 20 if names else 2]:
                print("    " + line[:300])
    print(f"{len(covered)} ops, {passed} of {total} samples pass ({100 * passed / max(total, 1):.2f} %)")
    if not names:
        missing = sorted({o.name for o in database() if find(o.name) is None})
        print(f"not in tensorlite ({len(missing)}):", " ".join(missing))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
