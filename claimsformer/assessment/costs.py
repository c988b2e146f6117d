"""What a decision is worth, from a small file: review a claim when that is expected to bring in more than it costs."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from claimsformer.errors import ConfigError

__all__ = ["Costs"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Costs:
    """US dollars: a review costs `review_cost`, one of an ordinary claim `abrasion_cost` more (the provider's time and
    goodwill), and a review that finds something recovers `recoverable_share` of the amount at risk.

    A claim at or above `suspicious_probability` is called suspicious even where reviewing it does not pay.
    """

    review_cost: float = 20.0
    abrasion_cost: float = 10.0
    recoverable_share: float = 0.75
    suspicious_probability: float = 0.5

    def __post_init__(self) -> None:
        if unreal := [name for name, value in asdict(self).items() if not math.isfinite(value)]:
            raise ConfigError(f"costs must be finite, got {', '.join(f'{n} {getattr(self, n)}' for n in unreal)}")
        if self.review_cost < 0 or self.abrasion_cost < 0:
            raise ConfigError(f"costs may not be negative, got {self.review_cost} and {self.abrasion_cost}")
        for name in ("recoverable_share", "suspicious_probability"):
            if not 0 < getattr(self, name) <= 1:
                raise ConfigError(f"{name} must be between 0 and 1, got {getattr(self, name)}")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Costs:
        """The costs of a mapping; raises ConfigError for a key that is not known."""
        known = [field.name for field in fields(cls)]
        if unknown := sorted(set(values) - set(known)):
            raise ConfigError(f"unknown costs {unknown}, expected some of {known}")
        return cls(**{name: float(value) for name, value in values.items()})

    @classmethod
    def load(cls, path: str | Path | None = None) -> Costs:
        """The costs of a JSON file, by default the packaged `costs.json`."""
        file = files(__package__).joinpath("costs.json") if path is None else Path(path)
        try:
            return cls.from_dict(json.loads(file.read_text(encoding="utf-8")))
        except ConfigError:
            raise
        except (ValueError, TypeError, AttributeError) as error:
            raise ConfigError(f"the file of costs is not a JSON object of numbers: {error}") from None

    def expected_value(self, probability: Floats, amount: Floats) -> Floats:
        """Expected gain of a review in US dollars."""
        gain: Floats = (
            probability * self.recoverable_share * amount - self.review_cost - (1 - probability) * self.abrasion_cost
        )
        return gain

    def to_dict(self) -> dict[str, float]:
        """JSON values."""
        return asdict(self)
