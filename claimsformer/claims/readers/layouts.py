"""Layouts: which column of a table of claims is which field, for the public sets, the plain layout and a mapping file.

A mapping file is TOML or JSON. Targets are the fields of `Claim`, or `line_` and a field of `ClaimLine` (then each
row of the file is one line, and the rows of a claim stand together)::

    name = "acme"
    day_first = false              # 03/04/2009 is the fourth of March
    missing = ["", "NA"]           # more words that mean "no value"
    [columns]
    claim_id = "ClaimNo"
    member_id = "MemberNo"
    service_from = "DOS"
    service_thru = "DOS"
    diagnoses = ["dx_1", "dx_2"]   # in order
    line_procedure_code = "CPT"
    [constants]
    claim_type = "professional"
    code_system = "icd10"
    [values.member_sex]            # old = "new"; "" empties the value
    1 = "M"
    2 = "F"
    [pad]
    procedures = 4                 # leading zeros that a spreadsheet removed
    [slices.provider_state]        # part of a column: start counts from 0
    column = "provider_no"
    start = 0
    length = 2
"""

import difflib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from claimsformer.claims.kinds import LIST_FIELDS, flat_schema
from claimsformer.claims.states import SSA_STATES
from claimsformer.errors import MappingError

__all__ = [
    "PLAIN",
    "Layout",
    "Slice",
    "Join",
    "LAYOUTS",
    "load_mapping",
    "layout_of_header",
    "plain_layout",
    "shown_columns",
]

PLAIN = "plain"  # the layout whose columns are named as the fields, as this package writes it


@dataclass(frozen=True)
class Slice:
    """A part of a column, as characters `start` to `start + length`."""

    column: str
    start: int
    length: int


@dataclass(frozen=True)
class Join:
    """A second table beside the claims: the first file that matches one of `patterns`, joined on `left` = `right`."""

    patterns: tuple[str, ...]
    left: str
    right: str
    columns: frozenset[str] = frozenset()  # what it brings; without the file, and only then, these may be missing


@dataclass(frozen=True)
class Layout:
    """How the columns of a table become the fields of claims; see the module's docstring."""

    name: str
    columns: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)
    constants: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Mapping[str, str | None]] = field(default_factory=dict)
    pad: Mapping[str, int] = field(default_factory=dict)
    slices: Mapping[str, Slice] = field(default_factory=dict)
    conditions: Mapping[str, tuple[str, str]] = field(default_factory=dict)  # column -> (condition, the value for yes)
    joins: tuple[Join, ...] = ()
    missing: tuple[str, ...] = ()
    day_first: bool = False
    optional: frozenset[str] = frozenset()  # columns that may be absent, all together

    @property
    def per_line(self) -> bool:
        """Whether each row of the file is one service line."""
        return any(target.startswith("line_") for target in (*self.columns, *self.constants))

    def check(self) -> "Layout":
        """This layout, or a MappingError naming the first target that the schema does not know."""
        for target in (*self.columns, *self.constants, *self.values, *self.pad, *self.slices):
            if target not in flat_schema():
                near = difflib.get_close_matches(target, list(flat_schema()), n=1)
                hint = (
                    f"Did you mean {near[0]!r}?"
                    if near
                    else "Targets are fields of Claim, or line_ and a field of ClaimLine."
                )
                raise MappingError(f"mapping {self.name!r}: {target!r} is not a field of a claim", hint=hint)
        for target, source in self.columns.items():
            if isinstance(source, tuple) and target not in LIST_FIELDS:
                raise MappingError(f"mapping {self.name!r}: {target!r} holds one value, but got {len(source)} columns")
        return self


def _numbered(stem: str, count: int) -> tuple[str, ...]:
    return tuple(f"{stem}{i}" for i in range(1, count + 1))


_CHRONIC = {
    "alz": "alzheimers",
    "chf": "heart_failure",
    "ckd": "kidney_disease",
    "cncr": "cancer",
    "copd": "copd",
    "depr": "depression",
    "diab": "diabetes",
    "ihd": "ischemic_heart_disease",
    "osteo": "osteoporosis",
    "ra": "arthritis",
    "stroke": "stroke",
    "esrd": "esrd",
}
_KAGGLE_CHRONIC = {
    "Alzheimer": "alzheimers",
    "Heartfailure": "heart_failure",
    "KidneyDisease": "kidney_disease",
    "Cancer": "cancer",
    "ObstrPulmonary": "copd",
    "Depression": "depression",
    "Diabetes": "diabetes",
    "IschemicHeart": "ischemic_heart_disease",
    "Osteoporasis": "osteoporosis",
    "rheumatoidarthritis": "arthritis",
    "stroke": "stroke",
}
_MEDICARE_INPATIENT = {"claim_type": "institutional", "bill_type": "111", "code_system": "icd9"}
_SEX = {"1": "M", "2": "F", "0": "U"}
_SSA: dict[str, str | None] = {**SSA_STATES, "54": None}  # 54 stands for all other places in these files
_KAGGLE_SSA: dict[str, str | None] = {**_SSA, **{str(int(code)): usps for code, usps in SSA_STATES.items()}}
_NO_DRG: dict[str, str | None] = {"OTH": None}

SYNPUF = Layout(
    "synpuf",  # the joined table of inpatient claims and beneficiaries, columns renamed
    columns={
        "claim_id": "claim",
        "member_id": "bene",
        "member_sex": "sex",
        "member_birth_date": "birth",
        "member_death_date": "death",
        "member_race": "race",
        "member_state": "state",
        "billing_provider_id": "prov",
        "attending_provider_id": "att",
        "operating_provider_id": "op",
        "other_provider_id": "ot",
        "service_from": "from",
        "service_thru": "thru",
        "admission_date": "admit",
        "discharge_date": "disch",
        "drg": "drg",
        "admit_diagnosis": "admit_dx",
        "diagnoses": _numbered("dx", 10),
        "procedures": _numbered("px", 6),
        "covered_days": "util",
        "paid_amount": "amt",
        "primary_payer_amount": "ppay",
        "deductible_amount": "ded",
        "coinsurance_amount": "coins",
    },
    constants=_MEDICARE_INPATIENT,
    values={"member_sex": _SEX, "member_state": _SSA, "provider_state": _SSA, "drg": _NO_DRG},
    slices={"provider_state": Slice("prov", 0, 2)},
    conditions={column: (condition, "1") for column, condition in _CHRONIC.items()},
)

SYNPUF_CMS = Layout(
    "synpuf_cms",  # the inpatient file as CMS publishes it; only its first procedure column holds procedures
    columns={
        "claim_id": "CLM_ID",
        "member_id": "DESYNPUF_ID",
        "billing_provider_id": "PRVDR_NUM",
        "attending_provider_id": "AT_PHYSN_NPI",
        "operating_provider_id": "OP_PHYSN_NPI",
        "other_provider_id": "OT_PHYSN_NPI",
        "service_from": "CLM_FROM_DT",
        "service_thru": "CLM_THRU_DT",
        "admission_date": "CLM_ADMSN_DT",
        "discharge_date": "NCH_BENE_DSCHRG_DT",
        "drg": "CLM_DRG_CD",
        "admit_diagnosis": "ADMTNG_ICD9_DGNS_CD",
        "diagnoses": _numbered("ICD9_DGNS_CD_", 10),
        "procedures": ("ICD9_PRCDR_CD_1",),
        "covered_days": "CLM_UTLZTN_DAY_CNT",
        "paid_amount": "CLM_PMT_AMT",
        "primary_payer_amount": "NCH_PRMRY_PYR_CLM_PD_AMT",
        "deductible_amount": "NCH_BENE_IP_DDCTBL_AMT",
        "coinsurance_amount": "NCH_BENE_PTA_COINSRNC_LBLTY_AM",
    },
    constants=_MEDICARE_INPATIENT,
    values={"provider_state": _SSA, "drg": _NO_DRG},
    slices={"provider_state": Slice("PRVDR_NUM", 0, 2)},
)

_BENEFICIARY = frozenset(
    {
        "DOB",
        "DOD",
        "Gender",
        "Race",
        "State",
        "RenalDiseaseIndicator",
        *(f"ChronicCond_{name}" for name in _KAGGLE_CHRONIC),
    }
)

PROVIDER_FRAUD = Layout(
    "provider_fraud",  # Kaggle's inpatient file with its beneficiaries; procedure codes lost their leading zeros there
    columns={
        "claim_id": "ClaimID",
        "member_id": "BeneID",
        "member_sex": "Gender",
        "member_birth_date": "DOB",
        "member_death_date": "DOD",
        "member_race": "Race",
        "member_state": "State",
        "billing_provider_id": "Provider",
        "attending_provider_id": "AttendingPhysician",
        "operating_provider_id": "OperatingPhysician",
        "other_provider_id": "OtherPhysician",
        "service_from": "ClaimStartDt",
        "service_thru": "ClaimEndDt",
        "admission_date": "AdmissionDt",
        "discharge_date": "DischargeDt",
        "drg": "DiagnosisGroupCode",
        "admit_diagnosis": "ClmAdmitDiagnosisCode",
        "diagnoses": _numbered("ClmDiagnosisCode_", 10),
        "procedures": _numbered("ClmProcedureCode_", 6),
        "paid_amount": "InscClaimAmtReimbursed",
        "deductible_amount": "DeductibleAmtPaid",
    },
    constants={"claim_type": "institutional", "code_system": "icd9"},
    values={"member_sex": _SEX, "member_state": _KAGGLE_SSA, "drg": _NO_DRG},
    pad={"procedures": 4},
    conditions={
        **{f"ChronicCond_{column}": (condition, "1") for column, condition in _KAGGLE_CHRONIC.items()},
        "RenalDiseaseIndicator": ("esrd", "Y"),
    },
    joins=(Join(("beneficiaries.csv*", "*eneficiary*.csv*"), "BeneID", "BeneID", _BENEFICIARY),),
    optional=frozenset({"AdmissionDt", "DischargeDt", "DiagnosisGroupCode"}),  # the outpatient file has none of them
)

LAYOUTS: dict[str, Layout] = {layout.name: layout for layout in (SYNPUF, SYNPUF_CMS, PROVIDER_FRAUD)}
_SIGNS = {
    "synpuf": {"claim", "bene", "prov", "from", "thru", "admit_dx"},
    "synpuf_cms": {"CLM_ID", "DESYNPUF_ID", "CLM_FROM_DT"},
    "provider_fraud": {"ClaimID", "BeneID", "InscClaimAmtReimbursed"},
}


def layout_of_header(header: list[str]) -> Layout | None:
    """The layout that these column names belong to, the plain one for field names of the schema, or None."""
    for name, signs in _SIGNS.items():
        if signs <= set(header):
            return LAYOUTS[name]
    if {"claim_id", "member_id", "service_from"} <= set(header):
        return plain_layout(header)
    return None


def shown_columns(header: list[str], n: int = 10) -> str:
    """Names of columns for a message; a first line with numbers or dates in it is data, which no message repeats."""
    if any(name.strip() == "" or name.strip()[0].isdigit() for name in header):
        return "the first line does not look like names of columns"
    return ", ".join(header[:n]) + (", ..." if len(header) > n else "")


def plain_layout(header: list[str]) -> Layout:
    """The plain layout: columns named as the fields; lists in one cell, their items joined by `|`.

    Raises MappingError for a column that is all but named like a field: a misspelt one would be lost without a word.
    """
    fields = [*flat_schema(), "lines"]
    for name in header:
        near = (
            []
            if name in fields
            else difflib.get_close_matches(name, [f for f in fields if f not in header], n=1, cutoff=0.85)
        )
        if near:
            raise MappingError(
                f"a column is named almost as {near[0]!r}, but not quite", hint=f"Rename it to {near[0]}, or drop it."
            )
    return Layout(PLAIN, columns={name: name for name in header if name in flat_schema() or name == "lines"})


def load_mapping(source: str | Path | Mapping[str, Any]) -> Layout:
    """The layout of a mapping file (TOML or JSON) or of the same as a dict; raises MappingError."""
    if isinstance(source, Mapping):
        return _layout(dict(source), str(source.get("name", "mapping")))
    path = Path(source)
    try:
        raw = path.read_bytes().decode()
        document = json.loads(raw) if path.suffix.lower() == ".json" else tomllib.loads(raw)
    except OSError as error:
        raise MappingError(f"mapping file {path.name!r} cannot be opened: {error.strerror}") from None
    except ValueError as error:  # JSON, TOML and text decoding errors
        raise MappingError(f"mapping file {path.name!r} is neither valid TOML nor JSON: {error}") from None
    if not isinstance(document, dict):
        raise MappingError(
            f"mapping file {path.name!r} must hold tables such as [columns], got a {type(document).__name__}"
        )
    return _layout(document, str(document.get("name", path.stem)))


_KEYS = {"name", "columns", "constants", "values", "pad", "slices", "conditions", "missing", "day_first", "optional"}


def _layout(document: dict[str, Any], name: str) -> Layout:
    unknown = sorted(set(document) - _KEYS)
    if unknown:
        raise MappingError(
            f"mapping {name!r}: unknown key {unknown[0]!r}", hint=f"Known keys: {', '.join(sorted(_KEYS))}."
        )
    columns = document.get("columns")
    if not isinstance(columns, dict) or not columns:
        raise MappingError(
            f"mapping {name!r} has no [columns]", hint='Add for example:\n[columns]\nclaim_id = "ClaimNo"'
        )
    try:
        return Layout(
            name,
            columns={
                target: source if isinstance(source, str) else tuple(map(str, source))
                for target, source in columns.items()
            },
            constants={target: str(value) for target, value in document.get("constants", {}).items()},
            values={
                target: {str(old): str(new) or None for old, new in table.items()}
                for target, table in document.get("values", {}).items()
            },
            pad={target: int(width) for target, width in document.get("pad", {}).items()},
            slices={target: Slice(**part) for target, part in document.get("slices", {}).items()},
            conditions={
                column: (str(pair[0]), str(pair[1])) for column, pair in document.get("conditions", {}).items()
            },
            missing=tuple(map(str, document.get("missing", ()))),
            day_first=bool(document.get("day_first", False)),
            optional=frozenset(map(str, document.get("optional", ()))),
        ).check()
    except (TypeError, ValueError, AttributeError, IndexError, KeyError) as error:
        if isinstance(error, MappingError):
            raise
        raise MappingError(f"mapping {name!r} has an entry of the wrong kind: {error}") from None
