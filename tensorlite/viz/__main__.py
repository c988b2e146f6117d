"""`python -m tensorlite.viz module:factory --out model.svg`: draw what a factory makes.

The factory is a function without arguments. It returns an output tensor, or a tuple of a module (or function) and its
inputs, or a `Graph`.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from typing import Any

from . import Graph, graph
from .engines import ENGINES
from .overlay import COLOR_BY


def build(spec: str) -> Graph:
    """The graph of `module:factory`. Raises `ValueError` for a malformed spec or another result."""
    module_name, _, attribute = spec.partition(":")
    if not module_name or not attribute:
        raise ValueError(f"expected module:factory, got {spec!r}")
    factory: Any = importlib.import_module(module_name)
    for name in attribute.split("."):
        factory = getattr(factory, name)
    made = factory()
    if isinstance(made, Graph):
        return made
    if isinstance(made, tuple) and made and callable(made[0]):
        return graph(*made)
    try:
        return graph(made)
    except TypeError as error:
        raise ValueError(f"{spec} must return an output tensor, (module, *inputs) or a Graph: {error}") from error


def parser() -> argparse.ArgumentParser:
    arguments = argparse.ArgumentParser(prog="python -m tensorlite.viz", description="Draw a computation graph.")
    arguments.add_argument("factory", help="module:factory, a function without arguments")
    arguments.add_argument("--out", help="file to write; .svg .html .png .pdf .dot .mmd .json .txt (default: text)")
    arguments.add_argument(
        "--collapse", choices=["auto", "none", "max"], default="auto", help="which modules are closed"
    )
    arguments.add_argument("--depth", type=int, help="open this many levels of modules")
    arguments.add_argument("--color-by", choices=COLOR_BY, help="print and mark a number on every box")
    arguments.add_argument("--engine", choices=["auto", *ENGINES], default="auto", help="who computes the layout")
    arguments.add_argument("--theme", choices=["auto", "light", "dark"], default="auto")
    return arguments


def main(argv: Sequence[str] | None = None) -> int:
    options = parser().parse_args(argv)
    sys.path.insert(0, "")
    try:
        drawn = build(options.factory)
        view: dict[str, Any] = {"collapse": options.collapse, "depth": options.depth, "color_by": options.color_by}
        if not options.out:
            print(drawn.text(**view), end="")
            return 0
        if options.out.endswith((".svg", ".html", ".png", ".pdf")):
            view |= {"engine": options.engine, "theme": options.theme}
        print(f"wrote {drawn.save(options.out, **view)}")
    except (ValueError, RuntimeError, ImportError, AttributeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
