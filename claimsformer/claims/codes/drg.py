"""MS-DRG to major diagnostic category (MDC), by the ranges in which CMS numbers the groups (version 25 and later)."""

import polars as pl

__all__ = ["MDC_NAMES", "mdc_of", "mdc_expr"]

# (first, last, MDC); PRE: transplants, ECMO and tracheostomy, grouped before any category. Later versions filled gaps
# of MDC 14 in the 700s and 800s, so the narrower ranges come first.
_RANGES = [
    (1, 19, "PRE"),
    (805, 807, "14"),
    (817, 819, "14"),
    (831, 833, "14"),
    (783, 788, "14"),
    (796, 798, "14"),
    (20, 112, "01"),
    (113, 128, "02"),
    (129, 162, "03"),
    (163, 214, "04"),
    (215, 325, "05"),
    (326, 404, "06"),
    (405, 452, "07"),
    (453, 569, "08"),
    (570, 613, "09"),
    (614, 651, "10"),
    (652, 706, "11"),
    (707, 733, "12"),
    (734, 764, "13"),
    (765, 788, "14"),
    (789, 798, "15"),
    (799, 819, "16"),
    (820, 852, "17"),
    (853, 875, "18"),
    (876, 893, "19"),
    (894, 900, "20"),
    (901, 926, "21"),
    (927, 938, "22"),
    (939, 954, "23"),
    (955, 968, "24"),
    (969, 980, "25"),
    (981, 999, "ALL"),
]

MDC_NAMES = {
    "PRE": "before any category: transplants, ECMO, tracheostomy",
    "01": "nervous system",
    "02": "eye",
    "03": "ear, nose, mouth and throat",
    "04": "respiratory system",
    "05": "circulatory system",
    "06": "digestive system",
    "07": "liver, gall bladder and pancreas",
    "08": "musculoskeletal system",
    "09": "skin and breast",
    "10": "endocrine, nutritional and metabolic",
    "11": "kidney and urinary tract",
    "12": "male reproductive system",
    "13": "female reproductive system",
    "14": "pregnancy and childbirth",
    "15": "newborns",
    "16": "blood and immune system",
    "17": "lymphoma, leukemia and other tumours",
    "18": "infections",
    "19": "mental disorders",
    "20": "alcohol and drug use",
    "21": "injuries and poisoning",
    "22": "burns",
    "23": "other contacts with health services",
    "24": "multiple significant trauma",
    "25": "HIV infection",
    "ALL": "any category: procedures unrelated to the diagnosis, ungroupable",
}


def mdc_of(drg: str) -> str:
    """The MDC of a DRG of three digits, empty when it has none."""
    number = int(drg) if drg.isdecimal() else 0
    return next((mdc for first, last, mdc in _RANGES if first <= number <= last), "")


_TABLE = {f"{number:03d}": mdc_of(f"{number:03d}") for number in range(1, 1000)}


def mdc_expr(column: pl.Expr) -> pl.Expr:
    """The MDC of each DRG of a column, null when it has none."""
    return column.replace_strict(_TABLE, default=None, return_dtype=pl.String)
