"""Edits and surprise as one probability: learned where there are labels, by Bayes' rule from stated weights where not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from claimsformer.assessment.calibration import Calibrator, logistic_regression_with_signs, sigmoid
from claimsformer.assessment.edits import EDITS
from claimsformer.assessment.neural_head import NeuralHead

__all__ = ["Evidence", "Fusion", "class_weights", "firing_chances"]

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Kind = Literal["logistic", "neural"]

CLIP = 10.0  # -log10 p beyond this says no more
XI = 0.25  # e-value of a p-value: xi * p ** (xi - 1) (Vovk and Wang 2021)


@dataclass(frozen=True)
class Evidence:
    """What is known of N claims: `flags` (N, E) which edits fired, `fields` (N, F) evidence by field as -log10 p,
    `claim_p` (N,) the conformal p-value, `amount` (N,) asked for in US dollars; `details` (N, K), where given, are further
    columns for the head, which the score does not count."""

    edits: tuple[str, ...]
    flags: Bools
    names: tuple[str, ...]
    fields: Floats
    claim_p: Floats
    amount: Floats
    details: Floats | None = None

    def __len__(self) -> int:
        return len(self.flags)

    def take(self, rows: Any) -> Evidence:
        """Some of the claims."""
        details = None if self.details is None else self.details[rows]
        return Evidence(
            self.edits, self.flags[rows], self.names, self.fields[rows], self.claim_p[rows], self.amount[rows], details
        )

    @staticmethod
    def concatenate(parts: Sequence[Evidence]) -> Evidence:
        """The claims of several parts, which hold the same edits and fields."""
        arrays = (
            np.concatenate([getattr(part, name) for part in parts]) for name in ("flags", "fields", "claim_p", "amount")
        )
        flags, fields, claim_p, amount = arrays
        more = [part.details for part in parts if part.details is not None]
        details = np.concatenate(more) if more else None
        return Evidence(parts[0].edits, flags, parts[0].names, fields, claim_p, amount, details)

    @property
    def score(self) -> Floats:
        """The largest evidence of a field, (N,)."""
        largest: Floats = self.fields.max(axis=1)
        return largest

    @property
    def aside(self) -> list[int]:
        """The columns of `features` that are no answer of the model and no edit: several edits at once, the amount."""
        first = len(self.edits) + len(self.names) + 2
        return [first, first + 1]

    def features(self) -> Floats:
        """The columns that the supervised head reads, (N, E + F + 4 + K)."""
        clipped = np.minimum(self.fields, CLIP)
        top = -np.sort(-clipped, axis=1)[:, :2]
        more = [top, self.flags.sum(1, keepdims=True) > 1, np.log1p(np.maximum(self.amount, 0))[:, None] / 10]
        if self.details is not None:
            more.append(self.details)
        return np.column_stack([self.flags, clipped / 3, *more]).astype(np.float64)


def firing_chances(fired: Bools) -> Floats:
    """How rare it is that each edit fires, (E,), from `fired` (N, E) on held-out claims; never 0."""
    rates: Floats = (1 + fired.sum(axis=0)) / (1 + len(fired))
    return rates


def class_weights(labels: Bools) -> Floats:
    """Weights (N,) that give both classes the same total, with mean 1."""
    share = labels.mean()
    weights: Floats = np.where(labels, 0.5 / share, 0.5 / (1 - share))
    return weights


@dataclass(frozen=True)
class Fusion:
    """Turns evidence into probabilities; `calibrator` is None where no labels were given, and `weights` or `network` is
    what was learned where they were. `edit_p` (E,), for use without labels, is the share of ordinary claims on which each
    edit fires: it then counts by how rare that is instead of by its stated weight, on the scale of the surprises."""

    prior: float
    weights: Floats | None = None
    calibrator: Calibrator | None = None
    network: NeuralHead | None = None
    edit_p: Floats | None = None

    @property
    def calibrated(self) -> bool:
        """Whether probabilities were checked against labels; if not, they rest on the prior and the edits' weights."""
        return self.calibrator is not None

    @classmethod
    def fit(
        cls,
        head: Evidence,
        head_labels: Bools,
        calibration: Evidence,
        labels: Bools,
        *,
        ridge: float = 1.0,
        kind: Kind = "logistic",
        monotone: bool = False,
    ) -> Fusion:
        """Learn the head on one part of the labelled claims and the calibration on another. With `monotone` no answer of
        the model makes a claim less suspicious by being odder (logistic head)."""
        fitted = cls._head(head, head_labels, ridge, kind, monotone)
        prior, scores = float(labels.mean()), fitted.rank(calibration)
        return replace(fitted, prior=prior, calibrator=Calibrator.fit(scores, labels))

    @classmethod
    def fit_crossed(
        cls,
        evidence: Evidence,
        labels: Bools,
        folds: npt.NDArray[np.int64],
        *,
        ridge: float = 1.0,
        kind: Kind = "logistic",
    ) -> Fusion:
        """Learn the head on all labelled claims, and the calibration from the scores that heads give to the folds that
        they have not seen; rows of one member must be in one fold."""
        scores = np.empty(len(labels))
        for fold in np.unique(folds):
            inside = folds == fold
            part = cls._head(evidence.take(~inside), labels[~inside], ridge, kind)
            scores[inside] = part.rank(evidence.take(inside))
        return replace(cls._head(evidence, labels, ridge, kind), calibrator=Calibrator.fit(scores, labels))

    @classmethod
    def _head(cls, evidence: Evidence, labels: Bools, ridge: float, kind: Kind, monotone: bool = False) -> Fusion:
        """A head without calibration."""
        features, prior = evidence.features(), float(labels.mean())
        if kind == "neural":
            return cls(prior, network=NeuralHead.fit(features, labels, class_weights(labels)))
        stated = np.array([EDITS[name].weight for name in evidence.edits])
        centre = np.zeros(features.shape[1])
        centre[: len(stated)] = stated
        answers = np.full(features.shape[1], monotone)
        answers[: len(stated)] = answers[evidence.aside] = False
        weights = logistic_regression_with_signs(
            features, labels.astype(np.float64), answers, weights=class_weights(labels), ridge=ridge, centre=centre
        )
        # An edit that the labelled claims never show cannot be learned: it gets its stated weight on the learned scale.
        shown = evidence.flags.any(axis=0)
        if shown.any():
            scale = (weights[: len(stated)][shown] @ stated[shown]) / (stated[shown] @ stated[shown])
            weights[: len(stated)][~shown] = max(1.0, scale) * stated[~shown]
        return cls(prior, weights)

    def probability(self, evidence: Evidence) -> Floats:
        """Probability (N,) that a claim is not what it should be."""
        if self.calibrator is None:
            return sigmoid(self._stated(evidence))
        return self.calibrator(self.rank(evidence))

    def by_edits(self, evidence: Evidence) -> Floats:
        """Probability (N,) of claims of which the model says nothing, or little. Where an edit fires, prior and stated weights
        give at least it: the head was learned where the model answered, and leaves it what the model finds as well."""
        learned = self.probability(evidence)
        if self.calibrator is None:
            return learned
        stated = sigmoid(np.log(self.prior / (1 - self.prior)) + _weighed(evidence))
        return np.where(evidence.flags.any(axis=1), np.maximum(learned, stated), learned)

    def rank(self, evidence: Evidence) -> Floats:
        """A score (N,) with the order of the probabilities and fewer ties."""
        if self.network is not None:
            return self.network(evidence.features())
        if self.weights is None:
            return self._stated(evidence)
        return _linear(evidence.features(), self.weights)

    def _stated(self, evidence: Evidence) -> Floats:
        """Log-odds: prior, the strongest edit in full and the others by a third, and the e-value of the surprise; with
        `edit_p` prior and the e-value of the rarest of all that was found."""
        if self.edit_p is not None:
            rarest_edit = (evidence.flags * -np.log10(self.edit_p)).max(axis=1, initial=0.0)
            # The claim's own p-value, since the largest of many answers is large on ordinary claims too.
            surprise = -np.log10(evidence.claim_p) + 0.01 * np.minimum(evidence.score, 50)
            strongest = np.minimum(np.maximum(surprise, rarest_edit), 50)
            odds: Floats = np.log(self.prior / (1 - self.prior) * XI) + (1 - XI) * np.log(10) * strongest
            return odds
        # Smooth evidence orders what the conformal p-value ties at its smallest.
        surprise = np.log(XI) + (1 - XI) * -np.log(evidence.claim_p) + 0.02 * np.minimum(evidence.score, 50)
        total: Floats = np.log(self.prior / (1 - self.prior)) + _weighed(evidence) + surprise
        return total

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "prior": self.prior,
            "weights": None if self.weights is None else self.weights.tolist(),
            "calibrator": None if self.calibrator is None else self.calibrator.to_dict(),
            **({} if self.network is None else {"network": self.network.to_dict()}),
            **({} if self.edit_p is None else {"edit_p": self.edit_p.tolist()}),
        }

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> Fusion:
        """The fusion that `to_dict` described."""
        weights, calibrator = state["weights"], state["calibrator"]
        return cls(
            state["prior"],
            None if weights is None else np.array(weights, np.float64),
            None if calibrator is None else Calibrator.from_dict(calibrator),
            NeuralHead.from_dict(state["network"]) if "network" in state else None,
            np.array(state["edit_p"], np.float64) if "edit_p" in state else None,
        )


def _weighed(evidence: Evidence) -> Floats:
    """What the edits add to the log-odds: the strongest its stated weight, the others a third of theirs."""
    fired = evidence.flags * np.array([EDITS[name].weight for name in evidence.edits])
    strongest = fired.max(axis=1, initial=0.0)
    added: Floats = strongest + (fired.sum(axis=1) - strongest) / 3
    return added


def _linear(x: Floats, weights: Floats) -> Floats:
    z: Floats = x @ weights[:-1] + weights[-1]
    return z
