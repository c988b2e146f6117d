"""What a gradient check found: a verdict with its evidence, as text and as HTML."""

from __future__ import annotations

import html
from dataclasses import dataclass, field
from typing import Any

VERDICTS = ("pass", "fail", "inconclusive", "kink")
#: `Blame.op` where no op is at fault, but a value on the way does not carry a gradient.
NO_GRADIENT = "(no gradient)"


@dataclass(frozen=True)
class Worst:
    """The element of the inputs where analytic and numeric gradient differ most.

    Attributes:
        input: position among the tensor inputs.
        index: of the element.
        analytic, numeric: d(sum of cotangent * output) / d(element).
        error: how far off `numeric` may be.
    """

    input: int
    index: tuple[int, ...]
    analytic: float
    numeric: float
    error: float

    @property
    def place(self) -> str:
        return f"x{self.input}{list(self.index) if self.index else ''}"

    @property
    def ratio(self) -> float:
        return self.analytic / self.numeric if self.numeric else float("inf") if self.analytic else 1.0


@dataclass(frozen=True)
class Blame:
    """Which node of the graph is at fault: an op of the table, or the engine if every node alone is right.

    `op` is "(no gradient)" where a value that depends on the inputs does not require grad.
    """

    op: str
    node: int | None = None
    source: str = ""
    detail: str = ""

    def __str__(self) -> str:
        if self.op == "(engine)":
            return "the engine: every op alone has the right gradient, and together they do not (order of the walk, accumulation, or aliasing)"
        if self.op == NO_GRADIENT:
            at = f" (call {self.node} of the program)" if self.node is not None else ""
            return (
                "no op: a value that depends on the inputs does not require grad (detach, no_grad, or values that left "
                f"tensorlite); {self.source}{at}"
            )
        where = f", {self.source}" if self.source else ""
        return f"op '{self.op}', call {self.node} of the program{where}"


@dataclass
class GradReport:
    """The result of `gradcheck`.

    Attributes:
        verdict: "pass", "fail", "inconclusive" (the numeric derivative is not good enough to say) or "kink" (not differentiable here).
        method: how the numeric derivative was found. seed: of directions and cotangents. order: of the derivative.
        analytic, numeric, error: <gradient, direction> by backward, by the numeric derivative, and the error bar of the latter.
        scale: sum of |gradient * direction| and |cotangent * derivative|; tolerances are relative to it.
        tolerance: how much difference was allowed.
        worst: the element that is furthest off. hint: what the difference looks like. blame: the node at fault.
        message: for failures that are not a wrong number: an error in the backward, a changed input, shared memory.
    """

    verdict: str
    method: str = ""
    seed: int = 0
    order: int = 1
    analytic: float = 0.0
    numeric: float = 0.0
    error: float = 0.0
    scale: float = 0.0
    tolerance: float = 0.0
    directions: int = 0
    worst: Worst | None = None
    hint: str = ""
    blame: Blame | None = None
    message: str = ""
    notes: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """False only for a failure."""
        return self.verdict != "fail"

    def __bool__(self) -> bool:
        return self.ok

    def rows(self) -> list[tuple[str, str]]:
        """(label, text) of everything there is to say."""
        found = [("gradcheck", self.verdict + (f" (order {self.order})" if self.order != 1 else ""))]
        if self.message:
            found.append(("problem", self.message))
        if self.method:
            found.append(("method", f"{self.method}, {self.directions} directions, seed {self.seed}"))
            found.append(("analytic", f"{self.analytic:.12g}"))
            found.append(("numeric", f"{self.numeric:.12g} ± {self.error:.1g}"))
            difference = abs(self.analytic - self.numeric)
            found.append(("difference", f"{difference:.3g}, allowed {self.tolerance:.3g}, scale {self.scale:.3g}"))
        if self.worst is not None:
            w = self.worst
            found.append(
                (
                    "worst",
                    f"{w.place}: analytic {w.analytic:.9g}, numeric {w.numeric:.9g} ± {w.error:.1g}, ratio {w.ratio:.6g}",
                )
            )
        if self.hint:
            found.append(("looks like", self.hint))
        if self.blame is not None:
            found.append(("at fault", str(self.blame)))
        return found + [("note", n) for n in self.notes]

    def __str__(self) -> str:
        return "\n".join(f"{label + ':':<12} {text}" for label, text in self.rows())

    def _repr_html_(self) -> str:
        color = {"pass": "#1a7f37", "fail": "#cf222e"}.get(self.verdict, "#9a6700")
        cells = "".join(
            f'<tr><th style="text-align:left;padding-right:1em">{html.escape(label)}</th><td>{html.escape(text)}</td></tr>'
            for label, text in self.rows()[1:]
        )
        title = html.escape(self.rows()[0][1])
        return (
            f'<table><caption style="text-align:left;color:{color}"><b>gradcheck: {title}</b></caption>{cells}</table>'
        )

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {"ok": self.ok, **{label.replace(" ", "_"): text for label, text in self.rows()}}
