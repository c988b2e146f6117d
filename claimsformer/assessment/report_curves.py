"""What the report draws where the truth about its claims is known: curves, calibration, figures beside other methods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import polars as pl

from claimsformer.assessment.costs import Costs
from claimsformer.assessment.curves import GRID, net_dollars_by_threshold, precision_by_recall, roc
from claimsformer.assessment.decision import Assessment
from claimsformer.assessment.metrics import reliability
from claimsformer.assessment.report_parts import scrolling, section, table
from tensorlite import viz

if TYPE_CHECKING:
    from claimsformer.assessment.evaluation import Evaluation

__all__ = ["curve_sections", "figure_sections"]

Rows = Sequence[tuple[int, Assessment]]
Bools = npt.NDArray[np.bool_]
_NO_LABELS = (
    "Left out: nothing is known about which of these claims are anomalies. claimsformer evaluate draws them for claims "
    "with known truth."
)


def curve_sections(rows: Rows, costs: Costs, truth: pl.Series | None, evaluation: Evaluation | None) -> str:
    """Ranking, calibration and money by threshold; `truth` holds a value for each row that is a known anomaly."""
    known = None if truth is None else truth.is_not_null().to_numpy()
    if known is None or known.all() or not known.any():
        return section("Curves", _NO_LABELS, "")
    probability = np.array([a.probability for _, a in rows])
    amount = np.array([a.amount_at_risk for _, a in rows])
    if evaluation is None:
        mine = {
            "roc": {"claimsformer": tuple(roc(known, probability).tolist())},
            "precision": {"claimsformer": tuple(precision_by_recall(known, probability).tolist())},
        }
    else:
        mine = evaluation.curves
    net = net_dollars_by_threshold(known, probability, amount, costs)
    dollars = _chart("probability from which on claims are reviewed", GRID, "net US dollars", {"net dollars": net})
    return "".join(
        [
            section("Ranking: receiver operating characteristic", _ROC, _chart("false positive rate", GRID,
                    "true positive rate", mine["roc"])),
            section("Ranking: precision by recall", _PRECISION, _chart("recall", GRID[1:], "precision",
                    mine["precision"])),
            section("Calibration", _CALIBRATION, _calibration(known, probability)),
            section("Net dollars by threshold", _DOLLARS, dollars),
        ]
    )  # fmt: skip


_ROC = "How many of the known anomalies are found when a share of the ordinary claims is reviewed too; chance is the diagonal."
_PRECISION = (
    "Of the claims that rank first, how many are known anomalies, when so many of all anomalies are to be found."
)
_CALIBRATION = "Where probabilities are calibrated, of the claims at 0.8 eight in ten are known anomalies."
_DOLLARS = (
    "Recoveries less reviews and the trouble of false alarms, if every claim from a probability on were reviewed."
)


def _chart(x: str, at: Any, y: str, lines: Mapping[str, Any]) -> str:
    columns = {x: list(at)} | {name: list(values) for name, values in lines.items()}
    drawn = viz.training_curves(columns, x=x, keys=list(lines)[:7], y=y, title=f"{y[0].upper()}{y[1:]}")
    return scrolling(f"{y} by {x}", drawn.svg)


def _calibration(known: Bools, probability: npt.NDArray[np.float64]) -> str:
    rows = [(f"{p:.3f}", f"{share:.3f}", f"{n:,}") for p, share, n in reliability(known, probability)]
    return table(("mean probability", "share of anomalies", "claims"), rows, "Calibration", numbers=3)


def figure_sections(evaluation: Evaluation | None) -> str:
    """The figures of an evaluation: methods, types of anomaly, dollars, subgroups; nothing without one."""
    if evaluation is None:
        return ""
    methods = [
        (m.name, "yes" if m.labels else "no", str(m.auroc), str(m.auprc), f"{m.precision_at_50:.2f}")
        for m in evaluation.methods
    ]
    types = [
        (kind, f"{f['n']:.0f}", f"{f['claimsformer']:.3f}", f"{f['surprise alone']:.3f}")
        for kind, f in evaluation.types.items()
    ]
    dollars = [(name, f"{'-' if value < 0 else ''}${abs(value):,.0f}") for name, value in evaluation.dollars.items()]
    groups = [(f"{by}: {name}", f"{v:.3f}") for by, found in evaluation.subgroups.items() for name, v in found.items()]
    first = evaluation.localisation
    named = (
        f"In {100 * first['claimsformer']:.0f} % of {first['n']:.0f} claims the first field named is the one that was changed "
        f"({100 * first['surprise alone']:.0f} % by surprise alone)."
        if first
        else ""
    )
    left_out = "".join(f"<p class='note'>Left out: {escape(line)}</p>" for line in evaluation.left_out)
    return "".join(
        [
            section("Beside other methods", "On the same claims in the same run, with 95 % intervals over members.",
                    table(("method", "labels", "AUROC", "AUPRC", "precision at 50"), methods, "Methods") + left_out),
            section("By type of anomaly", f"AUROC of each type against ordinary claims. {named}",
                    table(("type", "claims", "claimsformer", "surprise alone"), types, "Types", numbers=3)),
            section("Net dollars", f"Brier score {evaluation.brier:.4f}, expected calibration error {evaluation.ece:.4f}.",
                    table(("reviewed", "net dollars"), dollars, "Net dollars", numbers=1)),
            section("Subgroups", "AUROC within each group that has claims of both kinds.",
                    table(("group", "AUROC"), groups, "Subgroups", numbers=1)),
        ]
    )  # fmt: skip
