"""Which parameters learn, how fast, and which decay.

Names are matched as in a shell: `embedding.*`, `*.norm.*`; a plain module name such as `decoder` stands for all below it.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from tensorlite import nn

from ..errors import ConfigError

__all__ = ["ParameterCount", "count_parameters", "freeze", "parameter_groups", "unfreeze"]

_BLOCK = re.compile(r"(?:^|\.)(?:layers|blocks|h|layer)\.(\d+)(?:\.|$)")


def freeze(model: nn.Module, *patterns: str) -> list[str]:
    """Stop the parameters of these names from learning (without patterns: all). Returns their names. Raises ConfigError
    for a pattern that matches nothing."""
    return _set_learning(model, patterns, False)


def unfreeze(model: nn.Module, *patterns: str) -> list[str]:
    """Let the parameters of these names learn (without patterns: all). Returns their names."""
    return _set_learning(model, patterns, True)


def _set_learning(model: nn.Module, patterns: Iterable[str], learns: bool) -> list[str]:
    names = dict(model.named_parameters(remove_duplicate=not patterns))  # a tied parameter has every name that it bears
    chosen = matching(names, patterns) if patterns else list(names)
    for name in chosen:
        names[name].requires_grad = learns
        if not learns:
            names[name].grad = None
    return chosen


def matching(names: Iterable[str], patterns: Iterable[str]) -> list[str]:
    """The names that one of the patterns matches, in order. Raises ConfigError for a pattern that matches none."""
    names = list(names)
    chosen: set[str] = set()
    for pattern in patterns:
        found = [name for name in names if matches(name, pattern)]
        if not found:
            close = difflib.get_close_matches(pattern, [*names, *_parents(names)], 3)
            parts = ", ".join(dict.fromkeys(name.partition(".")[0] for name in names))
            raise ConfigError(
                f"no parameter is named {pattern!r}",
                hint=f"the nearest are {', '.join(close)}" if close else f"names begin with {parts}" if names else None,
            )
        chosen.update(found)
    return [name for name in names if name in chosen]


def matches(name: str, pattern: str) -> bool:
    """Whether a shell pattern matches the name, or the name lies below the module that the pattern names."""
    return fnmatchcase(name, pattern) or fnmatchcase(name, f"{pattern}.*")


def _parents(names: Iterable[str]) -> set[str]:
    return {name.rsplit(".", 1)[0] for name in names}


@dataclass(frozen=True)
class ParameterCount:
    """Numbers of parameters; tied ones count once."""

    trainable: int
    total: int

    def __str__(self) -> str:
        share = 100 * self.trainable / max(1, self.total)
        return f"trainable params: {self.trainable:,} || all params: {self.total:,} || trainable%: {share:.4f}"


def count_parameters(model: nn.Module) -> ParameterCount:
    """How many parameters learn, and how many there are."""
    sizes = [(p.numel(), p.requires_grad) for p in model.parameters()]
    return ParameterCount(sum(n for n, learns in sizes if learns), sum(n for n, _ in sizes))


def parameter_groups(
    model: nn.Module,
    lr: float,
    weight_decay: float = 0.01,
    *,
    rates: Mapping[str, float] | None = None,
    layer_decay: float = 1.0,
) -> list[dict[str, Any]]:
    """Groups for an optimizer: the parameters that learn, by rate and by whether they decay.

    Biases, parameters of norms, and all others of one dim do not decay. `rates` gives some names a rate of their own, a
    later pattern before an earlier one. `layer_decay` multiplies the rate once for each block below the head, so
    that the lowest layers change least (Howard and Ruder 2018).
    """
    if not 0 < layer_decay <= 1:
        raise ConfigError(f"layer_decay must be in (0, 1], got {layer_decay}")
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    if not named:
        raise ConfigError("no parameter of the model learns: all are frozen", hint="unfreeze(model, ...) some")
    own = dict(rates or {})
    names = _names(model)
    matching([name for known in names.values() for name in known], own)
    plain = _without_decay(model)
    depth = _depths([name for name, _ in model.named_parameters()])
    groups: dict[tuple[float, float], dict[str, Any]] = {}
    for name, p in named:
        rate = lr * layer_decay ** depth[name]
        for pattern, value in own.items():
            if any(matches(known, pattern) for known in names[id(p)]):
                rate = value
        decay = 0.0 if id(p) in plain else weight_decay
        group = groups.setdefault((rate, decay), {"params": [], "lr": rate, "weight_decay": decay, "param_names": []})
        group["params"].append(p)
        group["param_names"].append(name)
    return list(groups.values())


def _names(model: nn.Module) -> dict[int, list[str]]:
    """All names of each parameter: a tied one has several."""
    found: dict[int, list[str]] = {}
    for name, p in model.named_parameters(remove_duplicate=False):
        found.setdefault(id(p), []).append(name)
    return found


def _without_decay(model: nn.Module) -> set[int]:
    norms = [m for m in model.modules() if "norm" in type(m).__name__.lower()]
    of_norms = {id(p) for m in norms for p in m.parameters(recurse=False)}
    return of_norms | {id(p) for p in model.parameters() if p.ndim < 2}


def _depths(names: list[str]) -> dict[str, int]:
    """How many steps below the head each parameter is: the last block 1, the first block n, embeddings n + 1."""
    blocks = {name: int(found[1]) for name in names if (found := _BLOCK.search(name))}
    if not blocks:
        return dict.fromkeys(names, 0)
    n = max(blocks.values()) + 1
    first, last = min(names.index(b) for b in blocks), max(names.index(b) for b in blocks)
    depth = {}
    for i, name in enumerate(names):
        if name in blocks:
            depth[name] = n - blocks[name]
        else:
            depth[name] = n + 1 if i < first else 0 if i > last else n
    return depth
