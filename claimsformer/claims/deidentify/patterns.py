"""Regular expressions for identifiers in free text, and for what looks like one and is none.

A pattern knows an identifier either by its shape (an e-mail address) or by the words before it ("MRN 12-3456"). What
has neither, a name in running text above all, is not found: see `scrub_text`.
"""

from __future__ import annotations

import re
from typing import Final

from claimsformer.claims.deidentify.identifiers import Identifier

__all__ = ["OVER_89", "PATTERNS", "PROTECTED"]


def _any_case(*parts: str) -> re.Pattern[str]:
    return re.compile("".join(parts), re.IGNORECASE)


def _exact(*parts: str) -> re.Pattern[str]:
    return re.compile("".join(parts))


_UNIT: Final = (
    r"(?:mg|mcg|µg|ug|g|kg|ml|l|meq|units?|unt|iu|u|%|mm|cm|mmhg|tablets?|tabs?|capsules?|caps?|doses?|drops?|puffs?"
    r"|days?|hours?|minutes?|miles?|usd|dollars?)(?!\w)"
)

# Spans of these kinds are left alone, even where a pattern below would match inside them.
PROTECTED: Final = (
    _exact(r"(?:US)?\$\s?\d[\d,]*(?:\.\d+)?"),
    _any_case(r"(?<![\w.-])\d[\d,]{0,11}(?:\.\d+)?\s?(?:USD|dollars)\b"),
    _any_case(r"\bNDC[:#\s]*\d{10,11}\b"),
    _exact(r"(?<![\w-])(?:\d{5}-\d{4}-\d{1,2}|\d{5}-\d{3}-\d{2}|\d{4}-\d{4}-\d{2})(?![\w-])"),  # NDC with hyphens
    _any_case(r"(?<![\w.-])\d{1,7}(?:\.\d+)?\s?", _UNIT),
    _any_case(r"(?<![\w.-])\d{1,4}(?:\.\d+)?\s?[-/]\s?\d{1,4}(?:\.\d+)?\s?", _UNIT),  # 500-1000 mg
)

# --- numbers known by the words before them ---------------------------------------------------------------------------
_JOIN: Final = r"(?:\s*(?:number|numbers|num|nr|no\.?|id|ids|code|is|was|#|:|=))"
_TOKEN: Final = r"(?=[A-Z]{0,6}[-/]?[A-Z]{0,3}\d)[A-Z0-9]+(?:[-/.][A-Z0-9]+)*"


def _after(words: str) -> re.Pattern[str]:
    return _any_case(rf"\b(?:{words})\b{_JOIN}{{0,4}}\s*{_TOKEN}")


def _after_labelled(words: str) -> re.Pattern[str]:
    # Everyday words ("claim", "member") need "no.", "#" or "id" after them, or at least six digits in what follows.
    number = r"(?:number|numbers|num|nr|no\.?|id|ids|#)"
    return _any_case(
        rf"\b(?:{words})\s*{number}{_JOIN}{{0,3}}\s*{_TOKEN}"
        rf"|\b(?:{words}){_JOIN}{{0,2}}\s*(?=(?:[A-Z-]*\d){{6}})[A-Z0-9]+(?:[-/.][A-Z0-9]+)*"
    )


# --- telephone --------------------------------------------------------------------------------------------------------
_PHONE: Final = (
    r"(?:\+?1[-. ]?)?(?:\(\d{3}\)\s?|\d{3}[-. ])\d{3}[-. ]\d{4}(?:\s?(?:x|ext\.?)\s?\d{1,6})?"
)  # fmt: skip

# --- dates ------------------------------------------------------------------------------------------------------------
_MONTH_NAME: Final = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|(?-i:May|MAY)|june?|july?|aug(?:ust)?|sept?(?:ember)?"
    r"|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?"
)
_DAY: Final = r"(?:0?[1-9]|[12]\d|3[01])"
_MONTH: Final = r"(?:0?[1-9]|1[0-2])"
_YEAR: Final = r"(?:1[89]|20)\d\d"
_CLOCK: Final = r"(?:[T ]\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:\s?[ap]\.?m\.?|Z|[+-]\d{2}:?\d{2})?)?"

# --- places and people ------------------------------------------------------------------------------------------------
_STATE: Final = (
    "(?:A[KLRSZ]|C[AOT]|D[CE]|FL|G[AU]|HI|I[ADLN]|K[SY]|LA|M[ADEINOPST]|N[CDEHJMVY]|O[HKR]|P[AR]|RI|S[CD]|T[NX]|UT"
    "|V[AIT]|W[AIVY])"
)
_WORD: Final = r"[A-Z][^\W\d_]*(?:['’.-][^\W\d_]+)*\b"
_STREET: Final = r"(?i:street|avenue|road|boulevard|lane|terrace|parkway|highway)"
_STREET_SHORT: Final = r"(?:St|Ave|Rd|Blvd|Ln|Dr|Drive|Ct|Court|Way|Pl|Place|Ter|Pkwy|Hwy|Circle|Cir)"
_UNIT_OF_HOUSE: Final = r"(?:,?\s(?i:apt|apartment|suite|ste|unit|floor|#)\.?\s?#?\w+)?"

# Where two cover the same span, the earlier entry gives the label.
PATTERNS: Final[tuple[tuple[Identifier, re.Pattern[str]], ...]] = (
    (Identifier.EMAIL, _exact(r"[\w.+'-]+@[\w-]+(?:\.[\w-]+)+")),
    (Identifier.PHOTO, _any_case(r"\b[\w./\\-]+\.(?:jpe?g|png|gif|bmp|tiff?|heic|dcm)\b")),
    (Identifier.URL, _any_case(r"\b(?:https?|ftps?)://\S*[\w/]|\bwww\.[\w-]+(?:\.[\w-]+)+(?:/\S*[\w/])?")),
    (Identifier.URL, _any_case(r"\b(?:[\w-]+\.)+(?:com|org|net|gov|edu|io|health|info)\b(?:/\S*[\w/])?")),
    (Identifier.DEVICE, _any_case(r"\b(?:[0-9A-F]{2}[:-]){5}[0-9A-F]{2}\b")),  # MAC address
    (Identifier.DEVICE, _exact(r"\(01\)\s?\d{14}(?:\(\d{2}\)[\w-]+)*")),  # unique device identifier
    (Identifier.IP_ADDRESS, _exact(r"(?<![\d.])(?:(?:25[0-5]|2[0-4]\d|[01]?\d?\d)(?:\.(?!\D|$)|(?![\d.]*\d))){4}")),
    (
        Identifier.IP_ADDRESS,
        _any_case(
            r"(?<![\w:])(?:(?:[0-9a-f]{1,4}:){4,7}[0-9a-f]{1,4}|(?:[0-9a-f]{1,4}:)+(?::[0-9a-f]{1,4})+)(?![\w:])"
        ),
    ),
    (Identifier.FAX, _any_case(r"\bfax", _JOIN, r"{0,3}\s*(?:", _PHONE, r"|\d{3}-\d{4}|\d{7,11})")),
    (Identifier.SSN, _exact(r"(?<![\w-])\d{3}([- ])\d{2}\1\d{4}(?![\w-])")),
    (Identifier.SSN, _after("ssn|social security")),
    (Identifier.MEDICAL_RECORD, _after("mrn|medical record")),
    (Identifier.MEDICAL_RECORD, _after_labelled("chart|patient|encounter|accession")),
    (Identifier.HEALTH_PLAN, _after("hicn|mbi")),
    (
        Identifier.HEALTH_PLAN,
        _after_labelled("member|beneficiary|subscriber|policy|insured|insurance|medicare|medicaid|group"),
    ),
    (
        Identifier.HEALTH_PLAN,  # Medicare beneficiary identifier; its letters leave out S, L, O, I, B and Z
        _any_case(
            r"\b[1-9][AC-HJKMNP-RT-Y][AC-HJKMNP-RT-Y0-9]\d-?[AC-HJKMNP-RT-Y][AC-HJKMNP-RT-Y0-9]\d-?"
            r"[AC-HJKMNP-RT-Y]{2}\d{2}\b"
        ),
    ),
    (Identifier.VEHICLE, _any_case(r"\b(?=[A-Z]*\d)(?=\d*[A-Z])[A-HJ-NPR-Z0-9]{17}\b")),
    (Identifier.VEHICLE, _after("vin|(?:license|licence|number) plate|plate")),
    (Identifier.ACCOUNT, _after("acct|a/c|iban|routing")),
    (Identifier.ACCOUNT, _after_labelled("account|invoice|claim|card")),
    (Identifier.ACCOUNT, _exact(r"(?<![\w-])\d{4}([- ])\d{4}(?:\1\d{1,7}){2,5}(?![\w-])")),
    (Identifier.LICENCE, _after("npi|upin|passport|dea")),
    (Identifier.LICENCE, _after_labelled("licen[cs]e|lic|certificate|cert|registration")),
    (Identifier.LICENCE, _exact(r"\b[ABCDEFGHJKLMPRSTUX][A-Z9]\d{7}\b")),  # DEA registration
    (Identifier.DEVICE, _after("serial|s/n|udi|imei")),
    (Identifier.DEVICE, _after_labelled("device|pacemaker|implant")),
    (
        Identifier.BIOMETRIC,
        _after("finger ?print|retinal?(?: scan)?|iris(?: scan)?|voice ?print|biometric|face ?print"),
    ),
    (Identifier.PHONE, _any_case(r"(?<![\w.$-])", _PHONE, r"(?![\w-])")),
    (Identifier.PHONE, _exact(r"(?<![\w.$-])[2-9]\d{2}-\d{4}(?![\w-])")),
    (
        Identifier.PHONE,
        _any_case(r"\b(?:phone|tel|telephone|cell|mobile|call|pager)", _JOIN, r"{0,3}\s*\+?\d[\d ().-]{5,}\d"),
    ),
    (Identifier.DATE_OR_AGE, _any_case(rf"(?<![\w-]){_YEAR}([-/.]){_MONTH}\1{_DAY}(?!\d){_CLOCK}")),
    (Identifier.DATE_OR_AGE, _any_case(rf"(?<![\w/.-]){_MONTH}([-/.]){_DAY}\1(?:{_YEAR}|\d\d)(?![\w/-]){_CLOCK}")),
    (Identifier.DATE_OR_AGE, _any_case(rf"(?<![\w/.-]){_DAY}([-/.]){_MONTH}\1(?:{_YEAR}|\d\d)(?![\w/-]){_CLOCK}")),
    (Identifier.DATE_OR_AGE, _exact(rf"(?<!\w){_YEAR}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?!\w)")),
    (
        Identifier.DATE_OR_AGE,
        _any_case(
            rf"\b{_MONTH_NAME}[\s-]?{_DAY}(?:st|nd|rd|th)?(?:,?[\s-]{_YEAR}\b|(?!\w|\.\d|\s?{_UNIT})){_CLOCK}",
            rf"|(?<![\w./]){_DAY}(?:st|nd|rd|th)?[\s-]?(?:of )?{_MONTH_NAME}(?:,?[\s-]?{_YEAR})?(?!\w){_CLOCK}",
            rf"|\b{_MONTH_NAME},?[\s-]{_YEAR}\b",
        ),
    ),
    (Identifier.DATE_OR_AGE, _any_case(rf"\b(?:on|since|dated?|dos|dob|born):?\s{_MONTH}/{_DAY}(?![\w/]|\s?{_UNIT})")),
    (
        Identifier.GEOGRAPHY,
        _exact(
            r"\b\d{1,6}[A-Z]?\s(?:(?:[NSEW]\.?|North|South|East|West)\s)?",
            rf"(?:(?:[^\W\d_][\w.'’-]*\s){{1,3}}?{_STREET}|(?:(?:{_WORD}\.?|\d+(?:st|nd|rd|th))\s){{1,3}}{_STREET_SHORT})",
            rf"\b\.?{_UNIT_OF_HOUSE}",
        ),
    ),
    (Identifier.GEOGRAPHY, _any_case(r"\bP\.?\s?O\.?\s?Box\s\d+")),
    (Identifier.GEOGRAPHY, _exact(rf"\b{_WORD}\.?(?:\s{_WORD}\.?){{0,2}},\s?{_STATE}\b(?:\s\d{{5}}(?:-\d{{4}})?)?")),
    (Identifier.GEOGRAPHY, _exact(rf"\b{_WORD}\.?(?:\s{_WORD}\.?){{0,2}}\s{_STATE}\s\d{{5}}(?:-\d{{4}})?\b")),
    (Identifier.GEOGRAPHY, _exact(rf"\b(?!(?<=\d\s)OR){_STATE}\s\d{{5}}(?:-\d{{4}})?\b")),
    (Identifier.GEOGRAPHY, _any_case(r"\bzip(?:\s?code)?", _JOIN, r"{0,3}\s*\d{5}(?:-?\d{4})?\b")),
    (Identifier.GEOGRAPHY, _exact(r"(?<![\w-])\d{5}-\d{4}(?![\w-])")),
    (Identifier.GEOGRAPHY, _exact(rf"\b{_WORD}(?:\s{_WORD})?\s(?:County|Parish|Township)\b")),
    (Identifier.GEOGRAPHY, _exact(r"(?<![\w.])-?\d{1,2}\.\d{4,}\s?,\s?-?\d{1,3}\.\d{4,}(?!\w|\.\d)")),  # coordinates
    (Identifier.NAME, _exact(rf"\b(?:Mr|Mrs|Ms|Miss|Dr|Prof)\b\.?\s{_WORD}(?:\.?\s{_WORD}){{0,2}}")),
    (
        Identifier.NAME,
        _exact(
            rf"\b(?:[Nn]ame|NAME|(?:[Pp]atient|PATIENT)(?:\s[Nn]ame|\sNAME)?)\s?[:=]\s?{_WORD}(?:[,.]?\s{_WORD}){{0,2}}"
        ),
    ),
    (
        Identifier.OTHER_UNIQUE,
        _any_case(r"\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b|\b(?=[a-f]*\d)[0-9a-f]{16,}\b"),
    ),
    (Identifier.OTHER_UNIQUE, _exact(r"(?<![\w$])\+?\d{9,}[A-Z]?\d?(?!\w)")),
    (Identifier.OTHER_UNIQUE, _any_case(r"\b(?=[A-Z]*\d)(?=(?:[A-Z]*\d){5})[A-Z0-9]{10,}\b")),
)

OVER_89: Final = _any_case(
    r"\baged?\s?:?\s?(?:of\s)?(?:9\d|1[0-4]\d)\b(?:\s?(?:years?|yrs?)(?:\s?old)?)?"
    r"|\b(?:9\d|1[0-4]\d)[\s-]?(?:years?|yrs?|y)[\s-]?(?:olds?|of age|/?o)\b"
)
