"""A sentence to a claim: drug, strength, quantity, money, condition, procedure, sex and age, as far as it names them.

Drugs, doses, amounts and codes are found by the medical tokenizer's patterns, conditions and procedures by their names
in the code tables and by common words for them. What the sentence does not say stays empty: the model judges a claim by
the fields it has.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Any, Final

from claimsformer.assessment.text_unread import (
    AGE,
    ICD10,
    denial,
    dollars_in_front,
    is_age,
    left_over,
    read_amounts,
    sex_of,
)
from claimsformer.claims.generator.catalogue import DRUGS, PROCEDURES, Drug
from claimsformer.claims.generator.conditions import CONDITIONS
from claimsformer.claims.schema import Claim
from claimsformer.errors import ReadError
from claimsformer.tokenizer.text import DEFAULT_DRUGS, MedicalSplitter

__all__ = ["ReadSentence", "claim_of_text"]

DAY: Final = dt.date(2024, 6, 3)  # a sentence has no date; any weekday serves

# Words that people use, by the condition's name in the table.
_CONDITION_WORDS: Final = {
    "hypertension": "high blood pressure|hypertensive",
    "hyperlipidemia": "high cholesterol|cholesterol|dyslipidemia",
    "coronary disease": "coronary artery disease|angina|ischemic heart disease",
    "myocardial infarction": "heart attack",
    "heart failure": "congestive heart failure|chf",
    "atrial fibrillation": "afib|a-fib",
    "diabetes type 2": "type 2 diabetes|diabetes|diabetic|t2dm",
    "diabetes type 1": "type 1 diabetes",
    "hypothyroidism": "underactive thyroid|thyroid",
    "chronic kidney disease": "ckd|kidney disease",
    "end stage renal disease": "esrd|kidney failure",
    "urinary tract infection": "uti|bladder infection",
    "copd": "chronic obstructive pulmonary disease|emphysema",
    "asthma": "asthmatic",
    "upper respiratory infection": "common cold|sore throat|strep throat|sinusitis|pharyngitis",
    "pregnancy": "pregnant|prenatal",
    "contraception": "birth control",
    "prostate enlargement": "enlarged prostate|bph",
    "attention deficit": "adhd|attention deficit disorder",
    "depression": "depressed|depressive disorder",
    "anxiety": "anxiety disorder",
    "dementia": "alzheimer|alzheimers|alzheimer's",
    "epilepsy": "seizures|seizure disorder",
    "knee arthritis": "knee osteoarthritis|arthritis of the knee",
    "low back pain": "back pain|backache",
    "eczema and acne": "eczema|acne|dermatitis",
    "reflux": "gerd|acid reflux|heartburn",
    "gallstones": "gallstone|cholelithiasis",
    "hiv": "hiv infection",
    "organ transplant": "kidney transplant|liver transplant|transplant recipient|kidney transplant recipient|liver transplant recipient",
    "adult check-up": "annual check-up|check-up|physical exam",
    "inguinal hernia, male": "inguinal hernia|groin hernia",
}
_PROCEDURE_WORDS: Final = {
    "X2170": "hba1c|a1c test|glycated hemoglobin", "X2110": "lipid panel", "X2100": "metabolic panel",
    "X2120": "blood count|cbc", "X3010": "chest x-ray|chest film", "X3042": "brain mri|mri of the head|head mri",
    "X3041": "ct of the abdomen|abdominal ct", "X3043": "spine mri|mri of the spine",
    "X3071": "mammogram|mammography", "X3080": "bone density", "X3090": "knee x-ray", "X4030": "upper endoscopy",
    "X4031": "colonoscopy", "X4061": "hysterectomy", "X4070": "prostatectomy|prostate surgery",
    "X4080": "hernia repair", "X4081": "gallbladder removal|gallbladder surgery|cholecystectomy",
    "X4090": "cataract surgery|lens replacement", "X4100": "knee replacement|knee surgery|knee arthroplasty",
    "X4101": "hip replacement|hip surgery|hip arthroplasty", "X4102": "knee arthroscopy",
    "X4110": "appendectomy|appendicectomy|appendix surgery", "X4122": "pacemaker|pacemaker implantation",
    "X4120": "heart bypass|bypass surgery|heart bypass surgery|coronary bypass|open heart surgery|heart surgery|cabg",
    "X4121": "coronary stent|heart stent|stent placement|angioplasty", "X4131": "spinal fusion",
    "X4130": "discectomy|laminectomy|back surgery|spine surgery|spinal surgery",
    "X4140": "c-section|cesarean|cesarean section|caesarean|caesarean section", "X4150": "mastectomy",
    "X4151": "lumpectomy", "X4160": "tonsillectomy|tonsil surgery", "X4180": "colectomy|bowel resection|colon surgery",
    "X4170": "gastric bypass|bariatric surgery|gastric sleeve|weight loss surgery",
    "X4190": "brain surgery|craniotomy", "X5001": "physical therapy", "X5101": "dialysis",
    "X5301": "psychotherapy|talking therapy", "X6001": "ecg|ekg|heart tracing", "X6002": "stress test",
    "X6010": "spirometry|breathing test", "X6020": "sleep study", "X3020": "echocardiogram|heart ultrasound",
    "X3061": "obstetric ultrasound|pregnancy ultrasound", "X2191": "psa test|prostate antigen",
    "X1003": "office visit|doctor visit", "E0601": "cpap", "X7001": "flu shot|influenza vaccination",
}  # fmt: skip


@dataclass(frozen=True)
class ReadSentence:
    """The claim, and in words what was understood and what was not."""

    claim: Claim
    understood: tuple[str, ...]
    not_understood: tuple[str, ...]


@cache
def _splitter() -> MedicalSplitter:
    return MedicalSplitter([*DEFAULT_DRUGS, *(drug.name.split(" / ")[0] for drug in DRUGS.values())])


@cache
def _words(kind: str) -> list[tuple[str, str]]:
    """(word, key) of conditions or procedures, the longest first."""
    pairs = []
    if kind == "condition":
        for condition in CONDITIONS:
            names = [condition.name.lower(), *_CONDITION_WORDS.get(condition.name, "").split("|")]
            pairs += [(name, condition.name) for name in names if name]
    else:
        for code, procedure in PROCEDURES.items():
            if procedure.group not in ("room", "component"):
                names = [procedure.name.lower(), *_PROCEDURE_WORDS.get(code, "").split("|")]
                pairs += [(name, code) for name in names if name]
    return sorted(pairs, key=lambda pair: (-len(pair[0]), pair))


def _named(text: str, kind: str, whole: str) -> tuple[list[str], str, list[str]]:
    """Keys of the names in a text, in the order they stand; the text without them; what `whole` says it is not."""
    found: dict[str, int] = {}
    denied = []
    for word, key in _words(kind):
        for match in re.finditer(rf"(?<![a-z0-9]){re.escape(word)}(?![a-z0-9])", text):
            start, stop = denial(whole, *match.span()) or match.span()
            if (start, stop) == match.span():
                found.setdefault(key, start)
            else:
                denied.append(whole[start:stop].strip())
            text = text[:start] + ";" * (stop - start) + text[stop:]
    return sorted(found, key=lambda key: found[key]), text, denied


def _drug(name: str) -> Drug | None:
    wanted = name.lower()
    return next((d for d in DRUGS.values() if d.name.lower().split(" / ")[0].startswith(wanted)), None)


def _strength(dose: str) -> str | None:
    match = re.fullmatch(r"([0-9.,]+)[ -]?(mcg|ug|mg|g|%|unt|units?)(?:/ml)?", dose.strip().lower())
    if match is None:
        return None
    unit = {"ug": "MCG", "unit": "UNT/ML", "units": "UNT/ML", "unt": "UNT/ML"}.get(match[2], match[2].upper())
    return f"{float(match[1].replace(',', '')):g} {unit}"


def _count(dose: str) -> float | None:
    match = re.fullmatch(r"([0-9.,]+)[ -]?(?:tablets?|tabs?|capsules?|caps?|puffs?|vials?|patch(?:es)?)", dose.strip())
    return float(match[1].replace(",", "")) if match else None


def _days(duration: str) -> int | None:
    match = re.fullmatch(r"([0-9]+)[ -]?days?", duration)
    return int(match[1]) if match else None


def claim_of_text(text: str) -> ReadSentence:
    """The claim that a sentence describes; raises ReadError when it names neither drug, procedure nor diagnosis."""
    text = dollars_in_front(text)
    lower = text.lower() if len(text.lower()) == len(text) else text  # a few letters are two when they are small
    found = _splitter().units(text)
    units = [(unit.kind, text[unit.start : unit.stop]) for unit in found]
    by_kind: dict[str, list[str]] = {}
    for kind, value in units:
        by_kind.setdefault(kind, []).append(value)
    # Procedures first: `cataract surgery` is no mention of a cataract.
    procedures, rest, denied = _named(lower, "procedure", lower)
    billed = [value.strip() for value in by_kind.get("hcpcs", [])]
    procedures += [code for code in billed if code in PROCEDURES and code not in procedures]
    conditions, rest, unlike = _named(rest, "condition", lower)
    codes = [condition.codes[0] for condition in CONDITIONS if condition.name in conditions]
    written, unread = _written_codes(text, units)
    codes += [code for code in written if code not in codes]
    drugs, not_taken = _drugs([(unit.start, unit.stop) for unit in found if unit.kind == "drug"], lower)
    if len(by_kind.get("dose", [])) < len(drugs):  # named again, not prescribed again
        drugs = list({named.name: named for named in reversed(drugs)}.values())[::-1]
    known = [named.drug for named in drugs if named.drug is not None]
    amounts, no_amounts = read_amounts(text, [(unit.start, unit.stop) for unit in found if unit.kind == "money"])
    sex, both = sex_of(rest)
    unknown = [f"drug {named.name}" for named in drugs if named.drug is None]
    unknown += [*denied, *unlike, *(lower[slice(*place)].strip() for place in not_taken), *unread, *no_amounts, *both]
    unknown += [value.strip() for kind, value in units if kind in _NO_FIELD]
    unknown += left_over(rest, [*not_taken, *((unit.start, unit.stop) for unit in found)])
    if not (known or procedures or codes):
        raise ReadError(
            "the sentence names no drug, procedure or diagnosis that the tables know",
            hint='Try: claimsformer assess --text "Diabetes patient, Metformin 500mg, $150"',
        )
    lines, unusual = _drug_lines(
        drugs,
        [(unit.start, text[unit.start : unit.stop].strip()) for unit in found if unit.kind in ("dose", "duration")],
    )
    unknown += unusual
    lines += [{"procedure_code": code, "procedure_system": "hcpcs", "units": 1.0} for code in procedures]
    fields: dict[str, Any] = {
        "claim_id": "TEXT", "member_id": "TEXT", "service_from": DAY, "service_thru": DAY,
        "claim_type": "pharmacy" if known and not procedures else "professional",
        "code_system": "icd10", "diagnoses": codes,
        "member_sex": sex,
        "member_birth_date": _birth(lower),
        "charge_amount": sum(amounts, Decimal(0)).quantize(Decimal("0.01")) if amounts else None,
        "lines": [{"line_number": k} | line for k, line in enumerate(lines, start=1)],
    }  # fmt: skip
    priced = len(lines) == 1 and ("quantity" in lines[0] or "procedure_code" in lines[0])
    if amounts and priced:
        fields["lines"][0]["charge_amount"] = fields["charge_amount"]
    birth = fields["member_birth_date"]
    understood = [
        *([f"sex {sex}"] if sex else []),
        *([f"age {int((DAY - birth).days / 365.25)}"] if birth else []),
        *(f"drug {drug.name}" for drug in known),
        *(f"strength {line['strength']}" for line in lines if line.get("strength")),
        *(f"quantity {line['quantity']:g}" for line in lines if line.get("quantity")),
        *(f"supply of {line['days_supply']} days" for line in lines if line.get("days_supply")),
        *(f"procedure {PROCEDURES[code].name}" for code in procedures),
        *(f"diagnosis {code}" for code in codes),
        *(f"amount ${amount}" for amount in amounts),
    ]
    claim = Claim.parse({name: value for name, value in fields.items() if value is not None})
    return ReadSentence(claim, tuple(understood), tuple(unknown))


_ICD10_BARE: Final = re.compile(r"[a-tv-z][0-9][0-9ab](?:\.?[0-9a-z]{1,4})?")
_NOT_READ: Final = ("icd9", "hcpcs", "cpt", "ndc", "coded")
_NO_FIELD: Final = ("date", "vital", "address")


def _written_codes(text: str, units: list[tuple[str, str]]) -> tuple[list[str], list[str]]:
    """ICD-10-CM codes that are written out, and codes of other systems, which a sentence cannot be judged by."""
    written = [value for kind, value in units if kind == "icd10"] + [m[0] for m in ICD10.finditer(text.lower())]
    unread = []
    for kind, value in units:
        last = value.split()[-1].lstrip("#:")
        if kind == "coded" and re.match(r"(?i)dx|diagnosis|icd ?-?10", value) and _ICD10_BARE.fullmatch(last.lower()):
            written.append(last)
        elif kind in _NOT_READ and last not in PROCEDURES and not ICD10.fullmatch(last.lower()):
            unread.append(f"code {value.strip()}")
    return list(dict.fromkeys(value.strip().replace(".", "").upper() for value in written)), unread


@dataclass(frozen=True)
class _Named:
    """A drug that a sentence names at `start`; `drug` is None where the tables do not have it."""

    start: int
    name: str
    drug: Drug | None


def _drugs(places: list[tuple[int, int]], text: str) -> tuple[list[_Named], list[tuple[int, int]]]:
    """The drugs at these places of a text, and the places of those that the text denies."""
    found, denied = [], []
    for start, stop in places:
        name = text[start:stop].strip()
        if span := denial(text, stop - len(name), stop):
            denied.append(span)
        else:
            found.append(_Named(start, name, _drug(name)))
    return found, denied


def _drug_lines(drugs: list[_Named], numbers: list[tuple[int, str]]) -> tuple[list[dict[str, Any]], list[str]]:
    """A line for each drug of the tables, and what is left out of the doses and durations, which stand at their places:
    those of no drug and of no known form, and ordinary strengths that the tables do not have."""
    values: dict[str, list[tuple[int, str, Any]]] = {"strength": [], "quantity": [], "days_supply": []}
    left_out = []
    for start, value in numbers:
        if (age := re.fullmatch(AGE, value.lower())) and is_age(age):
            continue
        parsed = {"strength": _strength(value), "quantity": _count(value.lower()), "days_supply": _days(value.lower())}
        name = next((name for name, number in parsed.items() if number), None)
        if name is None:
            left_out.append(value)
        else:
            values[name].append((start, value, parsed[name]))
    found: list[dict[str, Any]] = [{} for _ in drugs]
    for name, entries in values.items():
        for k, (start, value, number) in enumerate(entries):
            # As many as drugs: one each. Else a number belongs to the drug before it.
            owner = k if len(entries) == len(drugs) else max(0, sum(named.start < start for named in drugs) - 1)
            if not drugs or drugs[owner].drug is None or name in found[owner]:
                left_out.append(value)
            else:
                found[owner][name] = number
    lines = []
    for named, known in zip(drugs, found, strict=True):
        if (drug := named.drug) is None:
            continue
        line = {"ndc": drug.ndc, "drug_name": f"{drug.name} {drug.form}"} | known
        if _ordinary_but_unknown(line, drug):
            left_out.append(
                f"strength {line.pop('strength')} (the tables have {drug.name} with {drug.strength_text} alone)"
            )
        lines.append(line)
    return lines, left_out


def _ordinary_but_unknown(line: dict[str, Any], drug: Drug) -> bool:
    """Whether a strength is none of the tables', but a day's dose of it is no more than what is safe."""
    number, _, unit = str(line.get("strength", "")).partition(" ")
    if unit != drug.unit or float(number) == drug.strength:
        return False
    a_day = line["quantity"] / line["days_supply"] if line.get("quantity") and line.get("days_supply") else drug.per_day
    return float(number) * a_day <= drug.max_daily_dose


def _birth(text: str) -> dt.date | None:
    match = re.search(AGE, text)
    return DAY - dt.timedelta(days=int(int(match[1] or match[2]) * 365.25) + 100) if match and is_age(match) else None
