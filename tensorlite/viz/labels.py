"""The words in a box: a title, then one line of facts."""

from __future__ import annotations

from collections.abc import Sequence

from .ir import Graph, Module, Node, Summary
from .metrics import count, dims, dtype, nbytes, one_line

_EPS = {"float16": 2.0**-10, "float32": 2.0**-23, "float64": 2.0**-52, "complex64": 2.0**-23, "complex128": 2.0**-52}
_MAX = 46  # characters of a title before it is cut
_SHOWN_ATTRS = 2
_DULL = frozenset({"shape", "size", "eps", "count"})  # said by the result's shape, or of no interest in a picture
_PLAIN_WORDS = frozenset(
    [
        "act",
        "activation",
        "attn",
        "self",
        "layer",
        "layers",
        "block",
        "blocks",
        "norm",
        "ln",
        "mlp",
        "ff",
        "ffn",
        "fn",
        "module",
        "net",
    ]
)


def op_lines(graph: Graph, node: Node, module: Module | None, leaves: Sequence[Node], *, skip: bool) -> tuple[str, ...]:
    """Lines of an op box; `module` is set when the op is all that it does, `leaves` are drawn inside."""
    params = [leaf for leaf in leaves if leaf.kind == "param"]
    title = module_title(module) if module is not None else _op_title(node, leaves, skip)
    weight = max(params, key=lambda leaf: leaf.params, default=None)
    if weight is not None and len(weight.shape) > 1:
        title += f" · {_short(weight.name) or 'W'} {dims(weight.shape)}"
    total = sum(leaf.params for leaf in params)
    facts = [_value(node)] if is_scalar(node) else [dims(node.shape) + _unusual(node.dtype)]
    facts += [f"{key}={value}" for key, value in node.attrs if key not in _DULL][:_SHOWN_ATTRS]
    if total:
        facts.append(f"{count(total)} params")
    return (_cut(title), one_line(" · ".join(facts)))


def leaf_lines(node: Node) -> tuple[str, ...]:
    name = _cut(node.name or node.kind)
    facts = _value(node) if is_scalar(node) else f"{dims(node.shape)} {dtype(node.dtype)}"
    return (name, one_line(facts))


def module_title(module: Module) -> str:
    """Class name, and the attribute name where it adds something: `Linear q_proj`, but `LayerNorm` for `norm1`."""
    own = module.path.rsplit(".", 1)[-1]
    words = [word.rstrip("0123456789") for word in own.lower().split("_")]
    known = module.name.lower()
    adds = any(word and word not in _PLAIN_WORDS and word not in known for word in words)
    return f"{module.name} {own}" if adds else module.name


def closed_lines(module: Module, ops: int, params: int, result: tuple[int, ...] | None = None) -> tuple[str, ...]:
    facts = [dims(result)] if result is not None else []
    facts += [module.detail] if module.detail and len(module.detail) <= 24 else []
    facts.append(f"{ops} op{'s' * (ops != 1)} hidden")
    if params:
        facts.append(f"{count(params)} params")
    return (_cut(f"▸ {module_title(module)}"), one_line(" · ".join(facts)))


def group_title(module: Module, params: int, run: Sequence[Module] = (), weights: str = "") -> tuple[str, str]:
    """Bold path and the plain words after it."""
    words = [f"{params and count(params) + ' params'}"] if params else []
    if len(run) < 2:
        detail = [module.detail] if module.detail and len(module.detail) <= 32 else []
        return _cut(_path(module)), one_line(" · ".join([module.name, *detail, *words]))
    n = len(run)
    if weights == "shared weights":
        return _cut(_path(module)), one_line(" · ".join([f"{n} × {module.name}", f"shared weights ×{n}", *words]))
    last = _path(run[-1])
    title = f"{_path(module)} … {last}" if last != _path(module) else _path(module)
    return _cut(title), one_line(" · ".join([f"{n} × {module.name}", weights, *words]))


def is_scalar(node: Node) -> bool:
    return node.shape == () and node.value is not None and node.dtype != "bool"


def tip(node: Node, module: Module | None) -> str:
    """Tooltip: everything known about the node, on one line each."""
    lines = [f"{node.op} {dims(node.shape)} {node.dtype}"]
    if module is not None:
        lines.append(f"in {module.path or module.name} ({module.name})")
    lines += [", ".join(f"{key}={value}" for key, value in node.attrs)] if node.attrs else []
    lines += [f"at {node.source}"] if node.source else []
    lines.append(f"{nbytes(node.nbytes)}, {count(node.flops)} FLOPs")
    for name, summary in (("value", node.value), ("grad", node.grad)):
        if summary is not None:
            stats = f"{name} min {summary.minimum:.4g} mean {_mean(summary, node.dtype)} max {summary.maximum:.4g}"
            stats += f" ‖·‖ {summary.norm:.4g}"
            lines.append(stats + (f", {summary.nan} NaN, {summary.inf} Inf" if summary.nan or summary.inf else ""))
    return "\n".join(one_line(line) for line in lines)


def _mean(summary: Summary, dtype: str) -> str:
    """The mean, and ≈ 0 where it is less than one entry's rounding: its digits differ from machine to machine."""
    eps = _EPS.get(dtype, 0.0)
    rounding = eps * max(abs(summary.minimum), abs(summary.maximum))
    return "≈ 0" if 0 < abs(summary.mean) <= rounding else f"{summary.mean:.4g}"


def _op_title(node: Node, leaves: Sequence[Node], skip: bool) -> str:
    if skip and node.op in {"add", "add_"}:
        return "add residual"
    scalars = [leaf for leaf in leaves if leaf.kind == "const" and leaf.shape == () and leaf.value is not None]
    operand = f" {scalars[0].value.mean:.4g}" if len(scalars) == 1 and scalars[0].value is not None else ""
    return node.op + operand


def _value(node: Node) -> str:
    assert node.value is not None
    data = f"data {_decimal(node.value.mean)}"
    return f"{data} · grad {_decimal(node.grad.mean)}" if node.grad is not None else data


def _decimal(value: float) -> str:
    """Four decimals where they say something, else three significant digits."""
    return f"{value:.4f}" if value == 0 or 1e-2 <= abs(value) < 1e6 else f"{value:.3g}"


def _short(name: str) -> str:
    own = name.rsplit(".", 1)[-1]
    return {"weight": "W", "in_proj_weight": "W"}.get(own, own)


def _unusual(name: str) -> str:
    return "" if name == "float32" else f" {dtype(name)}"


def _path(module: Module) -> str:
    return module.path or module.name


def _cut(text: str) -> str:
    flat = one_line(text)
    return flat if len(flat) <= _MAX else flat[: _MAX - 1] + "…"
