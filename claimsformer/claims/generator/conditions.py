"""The conditions that generated members have: real ICD-10-CM codes (public domain), who has them, and how they are
treated.

They stand in `data/conditions.tsv`, one a line. `age` is a rise ("up 55/12": from around 55 years, over some 12
years) or a hump ("at 28/8": around 28, give or take 8); `services` and `drugs` are "code:probability" per visit and
per member. The rates are made up to be plausible; they are not estimates of anything.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

__all__ = ["COMORBIDITY", "CONDITIONS", "Condition"]


@dataclass(frozen=True)
class Condition:
    """One condition: codes, who can have it, and its usual care."""

    name: str
    codes: tuple[str, ...]
    specialty: str
    sex: str  # "F", "M" or "" for both
    ages: tuple[int, int]  # years, both ends possible
    prevalence: float  # share of the members in the ages where it is most frequent
    age: str
    visits: float  # per year
    complexity: int  # 1 to 4: the office level that a visit for this condition alone supports
    services: str
    drugs: str
    stays: float  # inpatient stays per year
    drg: str  # family of DRGs, see `catalogue.DRGS`
    grade: str  # "MCC" or "CC": what the condition counts for as a secondary diagnosis of a stay

    @property
    def rare(self) -> bool:
        """True for conditions that less than one member in five hundred has."""
        return self.prevalence < 0.002


def _read() -> tuple[Condition, ...]:
    text = files(__package__).joinpath("data/conditions.tsv").read_text(encoding="utf-8")
    return tuple(
        Condition(
            name=row["name"],
            codes=tuple(row["codes"].split()),
            specialty=row["specialty"],
            sex=row["sex"],
            ages=(int(row["first_age"]), int(row["last_age"])),
            prevalence=float(row["prevalence"]),
            age=row["age"],
            visits=float(row["visits"]),
            complexity=int(row["complexity"]),
            services=row["services"],
            drugs=row["drugs"],
            stays=float(row["stays"]),
            drg=row["drg"],
            grade=row["grade"],
        )
        for row in csv.DictReader(text.splitlines(), delimiter="\t")
    )


CONDITIONS: Final = _read()

# (has, then more often has, chance multiplied by); applied once, in this order.
COMORBIDITY: Final = (
    ("hypertension", "coronary disease", 2.5),
    ("hypertension", "heart failure", 2.5),
    ("hypertension", "chronic kidney disease", 2.5),
    ("hypertension", "stroke", 2.0),
    ("obesity", "diabetes type 2", 2.5),
    ("obesity", "sleep apnea", 3.0),
    ("diabetes type 2", "chronic kidney disease", 2.5),
    ("diabetes type 2", "coronary disease", 2.0),
    ("hyperlipidemia", "coronary disease", 2.0),
    ("coronary disease", "myocardial infarction", 4.0),
    ("coronary disease", "heart failure", 2.5),
    ("chronic kidney disease", "end stage renal disease", 5.0),
    ("chronic kidney disease", "acute kidney failure", 4.0),
    ("heart failure", "atrial fibrillation", 2.5),
    ("heart failure", "acute kidney failure", 3.0),
    ("copd", "respiratory failure", 6.0),
    ("copd", "pneumonia", 3.0),
    ("pneumonia", "sepsis", 5.0),
    ("depression", "anxiety", 3.0),
    ("chronic kidney disease", "anemia", 3.0),
)
