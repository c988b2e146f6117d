"""The form of each kind of value, once: the models, the vectorised checks of frames and the writers all use it."""

__all__ = ["PATTERNS"]

# The regular expressions are in the dialect of Rust's regex crate, which pydantic and polars share.
PATTERNS: dict[str, str] = {
    "identifier": r"^[!-~]([ -~]{0,78}[!-~])?$",  # printable ASCII without outer blanks, at most 80 characters
    "state": r"^[A-Z]{2}$",  # USPS
    "zip": r"^[0-9]{5}$",
    "place_of_service": r"^[0-9]{2}$",
    "bill_type": r"^[0-9]{2}[0-9A-Z]$",  # facility, care, frequency; without the leading zero of paper forms
    "drg": r"^[0-9]{3}$",
    "icd9": r"^([0-9]{3,5}|V[0-9]{2,4}|E[0-9]{3,4})$",  # always without the dot
    "icd10": r"^[A-Z][0-9][0-9A-Z]{1,5}$",
    "snomed": r"^[0-9]{6,18}$",
    "icd9_procedure": r"^[0-9]{3,4}$",
    "icd10_procedure": r"^[0-9A-HJ-NP-Z]{7}$",
    "hcpcs": r"^[0-9A-Z][0-9]{3}[0-9A-Z]$",  # five characters: 99213, J1885, 0042T
    "hipps": r"^[0-9A-Z]{5}$",
    "other_procedure": r"^[0-9A-Z][0-9A-Z.\-]{0,19}$",
    "modifier": r"^[0-9A-Z]{2}$",
    "revenue_code": r"^[0-9]{4}$",
    "ndc": r"^[0-9]{11}$",  # 5-4-2
    "short_code": r"^[0-9A-Z]{1,10}$",  # statuses, units of measure, adjustment groups, remark codes
    "condition": r"^[0-9A-Za-z_.\-]([0-9A-Za-z_.\- ]{0,62}[0-9A-Za-z_.\-])?$",
    "text": r"^[!-~\u{00A0}-\u{FFFC}]([ -~\u{00A0}-\u{FFFC}]{0,198}[!-~\u{00A0}-\u{FFFC}])?$",
}
