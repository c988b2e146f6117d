"""`python -m tensorlite.viz module:factory --out model.svg`: draw what a factory makes.

The factory is a function without arguments. It returns an output tensor, or a tuple of a module (or function) and its
inputs, or a `Graph`.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import Graph, graph
from .engines import ENGINES
from .overlay import COLOR_BY

_EXAMPLE = """
A factory returns an output tensor, or (module, *inputs), or a Graph. In my_net.py:

    import tensorlite as tl
    from tensorlite import nn

    def make():
        net = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 2))
        return net, tl.randn(4, 8)

    python -m tensorlite.viz my_net:make                       as text
    python -m tensorlite.viz my_net:make --out net.svg
    python -m tensorlite.viz my_net:make --out net.html --color-by grad_norm
"""


def build(spec: str, *, backward: bool = False, timed: bool = False) -> Graph:
    """The graph of `module:factory`, with gradients and times if asked for. Raises `ValueError` for a malformed spec or
    another result, `RuntimeError` where the factory fails."""
    module_name, _, attribute = spec.partition(":")
    if not module_name or not attribute:
        raise ValueError(f"expected module:factory, got {spec!r}")
    factory: Any = importlib.import_module(module_name)
    for name in attribute.split("."):
        factory = getattr(factory, name)
    if not callable(factory):
        raise ValueError(f"{spec} must be a function without arguments, got {type(factory).__name__}")
    try:
        made = factory()
    except Exception as error:
        at = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(at.filename).name}:{at.lineno}"
        raise RuntimeError(f"{spec} raised {type(error).__name__}: {error} ({where})") from error
    if isinstance(made, Graph):
        return made
    if isinstance(made, tuple) and made and callable(made[0]):
        return graph(*made, backward=backward, timed=timed)
    try:
        return graph(made)
    except TypeError as error:
        raise ValueError(f"{spec} must return an output tensor, (module, *inputs) or a Graph: {error}") from error


def parser() -> argparse.ArgumentParser:
    arguments = argparse.ArgumentParser(
        prog="python -m tensorlite.viz",
        description="Draw a computation graph.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    arguments.add_argument("factory", help="module:function, a function without arguments (example below)")
    arguments.add_argument("--out", help="file to write; .svg .html .png .pdf .dot .mmd .json .txt (default: text)")
    arguments.add_argument(
        "--collapse", choices=["auto", "none", "max"], default="auto", help="which modules are closed"
    )
    arguments.add_argument("--depth", type=int, help="open this many levels of modules")
    arguments.add_argument("--color-by", choices=COLOR_BY, help="print and mark a number on every box")
    arguments.add_argument("--engine", choices=["auto", *ENGINES], default="auto", help="what computes the layout")
    arguments.add_argument("--theme", choices=["auto", "light", "dark"], default="auto", help="auto: the reader's")
    return arguments


def main(argv: Sequence[str] | None = None) -> int:
    options = parser().parse_args(argv)
    sys.path.insert(0, "")
    try:
        by = options.color_by
        drawn = build(options.factory, backward=by == "grad_norm", timed=by == "time")
        if str(options.out).endswith(".json"):  # the whole graph
            print(f"wrote {drawn.save(options.out)}")
            return 0
        view: dict[str, Any] = {"collapse": options.collapse, "depth": options.depth, "color_by": options.color_by}
        if not options.out:
            print(drawn.text(**view), end="")
            return 0
        if options.out.endswith((".svg", ".html", ".png", ".pdf")):
            view |= {"engine": options.engine, "theme": options.theme}
        print(f"wrote {drawn.save(options.out, **view)}")
    except (ValueError, RuntimeError, ImportError, AttributeError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
