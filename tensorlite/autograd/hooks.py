"""Where gradients arrive: in `.grad` of a leaf, and in hooks, of tensors when their gradient is complete, of nodes before and after they run."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from .graph import Node, Variable, type_name, wrap


def accumulate(leaf: Variable, g: Any, create_graph: bool) -> None:
    """Add a finished gradient to `leaf.grad`, in place if there is one already."""
    if leaf._hooks and leaf._node is None:
        g = apply_hooks(leaf._hooks, g)
    if create_graph or isinstance(g, Variable):
        g = g if isinstance(g, Variable) else wrap(g)
        if leaf._grad is None:
            leaf._grad = g if g._rg else wrap(g._data.copy())
        else:
            leaf._grad = leaf._grad + g
        return
    if leaf._grad is None:
        # A fresh array that nobody else holds is taken over; anything that could be shared is copied.
        mine = sys.getrefcount(g) <= 3 and g.base is None and g.flags.c_contiguous
        leaf._grad = wrap(g if mine else g.copy(order="C"))
    elif leaf._grad._rg:
        leaf._grad = leaf._grad + wrap(g)
    else:
        np.add(leaf._grad._data, g, out=leaf._grad._data)
        leaf._grad.counter()[0] += 1


def apply_hooks(hooks: dict[int, Any], g: Any) -> Any:
    """Run tensor hooks in order; a hook's result replaces the gradient."""
    for hook in list(hooks.values()):
        shown = g if isinstance(g, Variable) else wrap(g)
        replaced = hook(shown)
        if replaced is None:
            continue
        if not isinstance(replaced, Variable):
            raise TypeError(f"expected a tensor or None from hook '{_hook_name(hook)}', got {type(replaced).__name__}")
        if replaced._data.shape != shown._data.shape:
            raise RuntimeError(f"hook '{_hook_name(hook)}' has changed the size of value")
        if replaced._data.dtype != shown._data.dtype:
            raise RuntimeError(
                f"hook '{_hook_name(hook)}' has changed the type of value (was {type_name(shown._data)} got {type_name(replaced._data)})"
            )
        g = replaced if isinstance(g, Variable) else replaced._data
    return g


def _hook_name(hook: Any) -> str:
    return getattr(hook, "__name__", type(hook).__name__)


def hooks_before(node: Node, g: Any) -> Any:
    extras = node.extras or {}
    for slot, hooks in extras.get("hooks", {}).items():
        if not node.multiple:
            g = apply_hooks(hooks, g)
        elif g[slot] is not None:
            g[slot] = apply_hooks(hooks, g[slot])
    for slot, reference in extras.get("retain", {}).items():
        tensor = reference()
        value = g[slot] if node.multiple else g
        if tensor is not None and value is not None:
            accumulate(tensor, value if isinstance(value, Variable) else value.copy(), isinstance(value, Variable))
    for hook in list(extras.get("node_prehooks", {}).values()):
        outputs = tuple(x if x is None or isinstance(x, Variable) else wrap(x) for x in (g if node.multiple else (g,)))
        replaced = hook(outputs)
        if replaced is not None:
            raw = [
                r if r is None or isinstance(o, Variable) else r._data
                for r, o in zip(replaced, g if node.multiple else (g,), strict=True)
            ]
            g = raw if node.multiple else raw[0]
    return g


def hooks_after(node: Node, g: Any, grads: Sequence[Any]) -> Sequence[Any]:
    for hook in list((node.extras or {}).get("node_hooks", {}).values()):
        plain = not any(isinstance(x, Variable) for x in grads)
        shown = tuple(x if x is None or isinstance(x, Variable) else wrap(x) for x in grads)
        outputs = tuple(x if x is None or isinstance(x, Variable) else wrap(x) for x in (g if node.multiple else (g,)))
        replaced = hook(shown, outputs)
        if replaced is not None:
            replaced = (replaced,) if isinstance(replaced, Variable) else replaced
            grads = [r._data if plain and isinstance(r, Variable) else r for r in replaced]
    return grads
