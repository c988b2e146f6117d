"""What can be billed in the generated world: an invented catalogue of procedures, real HCPCS level II items, drugs,
DRGs.

Procedures of physicians have invented codes `X####` with names of our own, in the shape of CPT, which is the property
of the American Medical Association and is not here. HCPCS level II codes are CMS's and public. National drug codes
are made up under a labeler number that is not assigned. Fees are in US dollars, invented, in the order of size of
real ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = [
    "BUNDLES",
    "DRGS",
    "DRUGS",
    "OFFICE_LEVELS",
    "PROCEDURES",
    "STAY_SHARES",
    "Drug",
    "Drg",
    "Procedure",
]


@dataclass(frozen=True)
class Procedure:
    """A procedure or item: fee per unit in US dollars, provider's minutes per unit, most units that make sense in a
    day.
    """

    code: str
    name: str
    group: str
    fee: float
    minutes: int
    max_units: int
    usual_units: int = 1


@dataclass(frozen=True)
class Drug:
    """A drug as dispensed: price per unit in US dollars, units a day as usually taken, highest daily dose in
    `unit`s.
    """

    key: str
    name: str
    strength: float
    unit: str
    form: str
    price: float
    per_day: float
    max_daily_dose: float
    days: int
    ndc: str = ""

    @property
    def strength_text(self) -> str:
        """The strength as it is written on a claim, for example `500 MG`."""
        return f"{self.strength:g} {self.unit}"


@dataclass(frozen=True)
class Drg:
    """A family of MS-DRGs, with major complication, with complication, without; payment of the last in US dollars."""

    with_mcc: str
    with_cc: str
    plain: str
    payment: float
    days: float
    procedures: tuple[str, ...] = ()  # ICD-10-PCS codes that such stays usually have


def _p(
    *rows: tuple[str, str, str, float, int, int] | tuple[str, str, str, float, int, int, int],
) -> dict[str, Procedure]:
    return {row[0]: Procedure(*row) for row in rows}


OFFICE_LEVELS: Final = ("X1001", "X1002", "X1003", "X1004", "X1005")

PROCEDURES: Final = _p(
    ("X1001", "office contact, level 1", "office", 28, 8, 1),
    ("X1002", "office contact, level 2", "office", 62, 14, 1),
    ("X1003", "office contact, level 3", "office", 98, 22, 1),
    ("X1004", "office contact, level 4", "office", 142, 32, 1),
    ("X1005", "office contact, level 5", "office", 198, 47, 1),
    ("X2001", "specimen collection", "laboratory", 3, 4, 2),
    ("X2100", "metabolic panel", "panel", 15, 0, 1), ("X2101", "glucose in serum", "component", 9, 0, 3),
    ("X2102", "creatinine in serum", "component", 10, 0, 2),
    ("X2103", "electrolytes in serum", "component", 12, 0, 2),
    ("X2105", "uric acid in serum", "laboratory", 10, 0, 2),
    ("X2110", "lipid panel", "panel", 19, 0, 1), ("X2111", "cholesterol, total", "component", 11, 0, 1),
    ("X2112", "cholesterol, high density", "component", 14, 0, 1), ("X2113", "triglycerides", "component", 12, 0, 1),
    ("X2120", "blood count panel", "panel", 13, 0, 2), ("X2121", "hemoglobin alone", "component", 8, 0, 3),
    ("X2122", "white cell count alone", "component", 9, 0, 2),
    ("X2123", "platelet count alone", "component", 9, 0, 2),
    ("X2130", "liver panel", "panel", 18, 0, 1), ("X2131", "transaminases", "component", 11, 0, 2),
    ("X2132", "bilirubin, total", "component", 11, 0, 2), ("X2140", "thyroid panel", "panel", 34, 0, 1),
    ("X2141", "thyrotropin", "component", 21, 0, 1), ("X2142", "thyroxine, free", "component", 17, 0, 1),
    ("X2150", "obstetric panel", "panel", 78, 0, 1), ("X2151", "blood group", "component", 36, 0, 1),
    ("X2152", "rubella antibody", "component", 52, 0, 1),
    ("X2160", "clotting time", "laboratory", 11, 0, 2), ("X2170", "glycated hemoglobin", "laboratory", 15, 0, 1),
    ("X2180", "urine culture", "laboratory", 19, 0, 2), ("X2181", "throat swab test", "laboratory", 17, 0, 2),
    ("X2182", "blood culture", "laboratory", 26, 0, 4), ("X2183", "viral load", "laboratory", 108, 0, 1),
    ("X2184", "bilirubin by skin meter", "laboratory", 12, 5, 2),
    ("X2185", "rheumatoid antibodies", "laboratory", 31, 0, 1),
    ("X2186", "cervical swab", "laboratory", 38, 0, 1), ("X2187", "cervical cytology", "laboratory", 41, 0, 1),
    ("X2188", "drug level in blood", "laboratory", 29, 0, 2),
    ("X2189", "tissue examination", "laboratory", 112, 0, 6),
    ("X2190", "iron stores", "laboratory", 22, 0, 1), ("X2191", "prostate antigen", "laboratory", 28, 0, 1),
    ("X2192", "testosterone", "laboratory", 37, 0, 1),
    ("X3010", "chest film", "imaging", 41, 10, 2), ("X3020", "heart ultrasound", "imaging", 260, 40, 1),
    ("X3031", "head scan, computed", "imaging", 240, 20, 2), ("X3041", "trunk scan, computed", "imaging", 390, 30, 2),
    ("X3042", "head scan, magnetic", "imaging", 520, 45, 1), ("X3043", "spine scan, magnetic", "imaging", 480, 45, 2),
    ("X3050", "leg vessel ultrasound", "imaging", 190, 35, 2),
    ("X3060", "upper belly ultrasound", "imaging", 150, 30, 1),
    ("X3061", "obstetric ultrasound", "imaging", 165, 30, 2), ("X3062", "pelvic ultrasound", "imaging", 155, 30, 1),
    ("X3063", "scrotal ultrasound", "imaging", 130, 25, 1), ("X3071", "breast film", "imaging", 138, 20, 1),
    ("X3080", "bone density", "imaging", 88, 15, 1), ("X3090", "knee film", "imaging", 34, 8, 2),
    ("X3091", "hip film", "imaging", 37, 8, 2), ("X3092", "lower spine film", "imaging", 43, 10, 1),
    ("X3093", "wrist film", "imaging", 33, 8, 2),
    ("X4001", "joint injection", "surgery", 92, 20, 2),
    ("X4010", "fracture, closed treatment", "surgery", 480, 40, 1),
    ("X4020", "skin lesion, destruction", "surgery", 104, 15, 12),
    ("X4021", "skin lesion, excision", "surgery", 215, 30, 5),
    ("X4030", "stomach endoscopy", "surgery", 410, 40, 1), ("X4031", "bowel endoscopy", "surgery", 520, 50, 1),
    ("X4032", "bowel endoscopy with removal", "surgery", 610, 60, 1),
    ("X4060", "intrauterine device placement", "surgery", 140, 20, 1),
    ("X4061", "uterine tissue removal", "surgery", 1250, 60, 1),
    ("X4070", "prostate tissue removal", "surgery", 1650, 75, 1),
    ("X4080", "groin hernia repair", "surgery", 1180, 60, 2),
    ("X4081", "gallbladder removal", "surgery", 1450, 70, 1),
    ("X4090", "lens replacement", "surgery", 980, 35, 2),
    ("X4100", "knee joint replacement", "surgery", 1480, 100, 2),
    ("X4101", "hip joint replacement", "surgery", 1520, 100, 2),
    ("X4102", "knee joint endoscopy", "surgery", 620, 45, 2),
    ("X4110", "appendix removal", "surgery", 1150, 60, 1),
    ("X4120", "heart vessel bypass", "surgery", 2600, 240, 1),
    ("X4121", "heart vessel stent", "surgery", 1250, 80, 2),
    ("X4122", "pacemaker placement", "surgery", 980, 60, 1),
    ("X4130", "spine disc removal", "surgery", 1700, 110, 2), ("X4131", "spine fusion", "surgery", 2700, 200, 2),
    ("X4140", "cesarean delivery", "surgery", 1900, 75, 1),
    ("X4150", "breast removal", "surgery", 1300, 90, 2), ("X4151", "breast lump removal", "surgery", 780, 50, 2),
    ("X4160", "tonsil removal", "surgery", 520, 35, 1), ("X4170", "stomach bypass", "surgery", 2100, 130, 1),
    ("X4180", "bowel segment removal", "surgery", 1900, 140, 1),
    ("X4190", "skull opening", "surgery", 2900, 240, 1),
    ("X5001", "movement therapy, quarter hour", "therapy", 33, 15, 6, 3),
    ("X5101", "dialysis session", "therapy", 265, 30, 1),
    ("X5201", "infusion, first hour", "therapy", 150, 20, 1), ("X5202", "radiation session", "therapy", 420, 20, 2),
    ("X5301", "talking therapy session", "therapy", 112, 45, 1),
    ("X6001", "heart tracing", "test", 19, 8, 3), ("X6002", "exercise heart tracing", "test", 210, 45, 1),
    ("X6010", "breathing test", "test", 38, 15, 2), ("X6020", "night breathing study", "test", 590, 30, 1),
    ("X6030", "urine flow study", "test", 72, 15, 1), ("X6040", "ear pressure test", "test", 18, 6, 1),
    ("X6050", "brain tracing", "test", 240, 40, 1), ("X6060", "eye measurement", "test", 55, 15, 2),
    ("X7001", "influenza vaccination, adult", "prevention", 42, 5, 1),
    ("X7010", "diabetes training, half hour", "prevention", 54, 30, 4, 2),
    ("X7020", "mood questionnaire", "prevention", 6, 5, 1), ("X7021", "memory testing", "prevention", 96, 45, 1),
    ("X7201", "pregnancy check", "prevention", 68, 20, 1), ("X7301", "child vaccination", "prevention", 38, 6, 6, 2),
    ("X7302", "development screening", "prevention", 12, 8, 3),
    ("X9001", "remote heart monitor, new", "new_technology", 890, 15, 1),
    ("A0425", "ambulance mile", "ambulance", 8, 0, 150, 9),
    ("A0427", "ambulance, advanced, emergency", "ambulance", 520, 0, 2),
    ("A0429", "ambulance, basic, emergency", "ambulance", 430, 0, 2),
    ("A4253", "glucose strips, 50", "dme", 17, 0, 12, 2), ("A4259", "lancets, 100", "dme", 6, 0, 6),
    ("A7030", "breathing mask", "dme", 165, 0, 1), ("E0143", "wheeled walker", "dme", 112, 0, 1),
    ("E0570", "nebulizer", "dme", 135, 0, 1), ("E0601", "airway pressure device", "dme", 720, 0, 1),
    ("E0607", "glucose meter", "dme", 48, 0, 1), ("E0784", "insulin pump", "dme", 4300, 0, 1),
    ("E1390", "oxygen concentrator", "dme", 175, 0, 1), ("K0001", "standard wheelchair", "dme", 62, 0, 1),
    ("L1830", "knee immobilizer", "dme", 78, 0, 2),
    ("J0585", "botulinum toxin, unit", "drug", 6, 0, 400, 155), ("J0696", "ceftriaxone, 250 mg", "drug", 3, 0, 16, 4),
    ("J0885", "epoetin, 1000 units", "drug", 12, 0, 60, 10), ("J0897", "denosumab, mg", "drug", 19, 0, 120, 60),
    ("J1030", "methylprednisolone, 40 mg", "drug", 7, 0, 4),
    ("J1050", "medroxyprogesterone, mg", "drug", 0.4, 0, 300, 150),
    ("J1745", "infliximab, 10 mg", "drug", 62, 0, 150, 35), ("J1756", "iron sucrose, mg", "drug", 0.4, 0, 500, 200),
    ("J1885", "ketorolac, 15 mg", "drug", 2, 0, 8, 2), ("J2323", "natalizumab, mg", "drug", 22, 0, 300, 300),
    ("J2405", "ondansetron, mg", "drug", 0.5, 0, 64, 8), ("J2505", "pegfilgrastim, 6 mg", "drug", 3900, 0, 1),
    ("J3420", "vitamin b12", "drug", 4, 0, 1), ("J3489", "zoledronic acid, mg", "drug", 44, 0, 5, 5),
    ("J7192", "factor viii, unit", "drug", 1.3, 0, 22000, 2500),
    ("J9035", "bevacizumab, 10 mg", "drug", 72, 0, 170, 40),
    ("J9217", "leuprolide, 7.5 mg", "drug", 215, 0, 6, 3), ("J9271", "pembrolizumab, mg", "drug", 52, 0, 400, 200),
    ("J9312", "rituximab, 10 mg", "drug", 82, 0, 150, 70), ("J9355", "trastuzumab, 10 mg", "drug", 96, 0, 105, 44),
    ("R0120", "room and board, day", "room", 1, 0, 400), ("R0250", "drugs during the stay", "room", 1, 0, 1),
    ("R0300", "laboratory during the stay", "room", 1, 0, 1), ("R0360", "operating room", "room", 1, 0, 1),
)  # fmt: skip

# `R` and a revenue code: what hospitals bill by revenue code alone; their prices are shares of the DRG's payment.
STAY_SHARES: Final = {"R0120": 0.5, "R0250": 0.2, "R0300": 0.1, "R0360": 0.2}

# A panel and the components that may not be billed beside or instead of it on the same day.
BUNDLES: Final[dict[str, tuple[str, ...]]] = {
    "X2100": ("X2101", "X2102", "X2103"),
    "X2110": ("X2111", "X2112", "X2113"),
    "X2120": ("X2121", "X2122", "X2123"),
    "X2130": ("X2131", "X2132"),
    "X2140": ("X2141", "X2142"),
    "X2150": ("X2151", "X2152"),
}


def _drugs(*rows: tuple[str, str, float, str, str, float, float, float, int]) -> dict[str, Drug]:
    # 5-4-2 digits: 99999 is no labeler's number.
    return {row[0]: Drug(*row, ndc=f"99999{100 + i:04d}01") for i, row in enumerate(rows)}


DRUGS: Final = _drugs(
    ("lisinopril", "Lisinopril", 20, "MG", "Oral Tablet", 0.12, 1, 80, 30),
    ("amlodipine", "Amlodipine", 5, "MG", "Oral Tablet", 0.10, 1, 10, 30),
    ("hctz", "Hydrochlorothiazide", 25, "MG", "Oral Tablet", 0.08, 1, 50, 90),
    ("atorvastatin", "Atorvastatin", 40, "MG", "Oral Tablet", 0.20, 1, 80, 90),
    ("simvastatin", "Simvastatin", 10, "MG", "Oral Tablet", 0.15, 1, 40, 90),
    ("clopidogrel", "Clopidogrel", 75, "MG", "Oral Tablet", 0.25, 1, 300, 90),
    ("metoprolol", "Metoprolol succinate", 100, "MG", "Extended Release Oral Tablet", 0.30, 1, 400, 30),
    ("furosemide", "Furosemide", 40, "MG", "Oral Tablet", 0.10, 1, 600, 30),
    ("apixaban", "Apixaban", 5, "MG", "Oral Tablet", 8.9, 2, 20, 30),
    ("warfarin", "Warfarin sodium", 5, "MG", "Oral Tablet", 0.15, 1, 15, 30),
    ("metformin", "Metformin hydrochloride", 500, "MG", "Extended Release Oral Tablet", 0.15, 2, 2550, 30),
    ("insulin_glargine", "Insulin glargine", 100, "UNT/ML", "Injectable Solution", 18.0, 0.3, 100, 30),
    ("glipizide", "Glipizide", 10, "MG", "Oral Tablet", 0.12, 1, 40, 30),
    ("levothyroxine", "Levothyroxine sodium", 75, "MCG", "Oral Tablet", 0.40, 1, 300, 90),
    ("allopurinol", "Allopurinol", 300, "MG", "Oral Tablet", 0.20, 1, 800, 90),
    ("nitrofurantoin", "Nitrofurantoin", 100, "MG", "Oral Capsule", 1.3, 2, 400, 7),
    ("ciprofloxacin", "Ciprofloxacin", 500, "MG", "Oral Tablet", 0.6, 2, 1500, 7),
    ("albuterol", "Albuterol", 90, "MCG", "Metered Dose Inhaler", 0.2, 6, 1080, 33),
    ("tiotropium", "Tiotropium", 18, "MCG", "Inhalation Capsule", 15.0, 1, 36, 30),
    ("fluticasone", "Fluticasone propionate", 110, "MCG", "Metered Dose Inhaler", 2.1, 4, 1760, 30),
    ("amoxicillin", "Amoxicillin", 500, "MG", "Oral Capsule", 0.25, 3, 3000, 10),
    ("azithromycin", "Azithromycin", 250, "MG", "Oral Tablet", 1.6, 1.2, 500, 5),
    ("emtricitabine", "Emtricitabine / tenofovir", 200, "MG", "Oral Tablet", 58.0, 1, 200, 30),
    ("tamoxifen", "Tamoxifen", 20, "MG", "Oral Tablet", 0.5, 1, 40, 30),
    ("prenatal_vitamin", "Prenatal vitamin", 27, "MG", "Oral Tablet", 0.2, 1, 54, 90),
    ("ethinyl_estradiol", "Ethinyl estradiol / norgestimate", 35, "MCG", "Oral Tablet", 0.9, 1, 70, 28),
    ("estradiol", "Estradiol", 1, "MG", "Oral Tablet", 0.4, 1, 4, 30),
    ("alendronate", "Alendronate", 10, "MG", "Oral Tablet", 0.5, 1, 40, 30),
    ("tamsulosin", "Tamsulosin", 0.4, "MG", "Oral Capsule", 0.4, 1, 0.8, 30),
    ("finasteride", "Finasteride", 5, "MG", "Oral Tablet", 0.3, 1, 5, 90),
    ("sildenafil", "Sildenafil", 50, "MG", "Oral Tablet", 2.5, 0.3, 100, 30),
    ("methylphenidate", "Methylphenidate", 18, "MG", "Extended Release Oral Tablet", 4.2, 1, 72, 30),
    ("sertraline", "Sertraline", 50, "MG", "Oral Tablet", 0.2, 1, 200, 30),
    ("escitalopram", "Escitalopram", 10, "MG", "Oral Tablet", 0.2, 1, 30, 30),
    ("donepezil", "Donepezil", 10, "MG", "Oral Tablet", 0.3, 1, 23, 30),
    ("levetiracetam", "Levetiracetam", 500, "MG", "Oral Tablet", 0.3, 2, 3000, 30),
    ("sumatriptan", "Sumatriptan", 50, "MG", "Oral Tablet", 1.8, 0.3, 200, 30),
    ("naproxen", "Naproxen", 500, "MG", "Oral Tablet", 0.2, 2, 1500, 30),
    ("cyclobenzaprine", "Cyclobenzaprine", 10, "MG", "Oral Tablet", 0.2, 2, 30, 15),
    ("triamcinolone", "Triamcinolone", 0.1, "%", "Topical Cream", 0.3, 2, 3, 30),
    ("omeprazole", "Omeprazole", 20, "MG", "Delayed Release Oral Capsule", 0.2, 1, 120, 30),
    ("methotrexate", "Methotrexate", 2.5, "MG", "Oral Tablet", 0.9, 0.9, 25, 28),
    ("tacrolimus", "Tacrolimus", 1, "MG", "Oral Capsule", 2.8, 4, 20, 30),
)  # fmt: skip

# MS-DRG numbers are CMS's; payments are invented. Where a family has one number only, it stands three times.
DRGS: Final[dict[str, Drg]] = {
    "coronary": Drg("321", "322", "322", 15_000, 2.5, ("027034Z", "4A023N7")),
    "infarction": Drg("280", "281", "282", 7_500, 3.5, ("4A023N7",)),
    "failure": Drg("291", "292", "293", 6_000, 4.5),
    "arrhythmia": Drg("308", "309", "310", 5_000, 3.0, ("5A2204Z",)),
    "stroke": Drg("064", "065", "066", 7_000, 4.0),
    "renal": Drg("682", "683", "684", 6_000, 4.5, ("5A1D70Z",)),
    "urinary": Drg("689", "690", "690", 5_200, 3.5),
    "copd": Drg("190", "191", "192", 5_500, 3.8),
    "pneumonia": Drg("193", "194", "195", 6_000, 4.2),
    "respiratory": Drg("189", "189", "189", 9_500, 4.8, ("5A1945Z", "0BH17EZ")),
    "sepsis": Drg("871", "872", "872", 8_500, 5.5, ("02HV33Z",)),
    "breast": Drg("582", "583", "583", 10_500, 2.0, ("0HBT0ZZ",)),
    "prostate": Drg("707", "708", "708", 11_000, 2.0, ("0VT04ZZ",)),
    "bowel": Drg("329", "330", "331", 14_000, 6.0, ("0DTG4ZZ", "0DTN4ZZ")),
    "lymphoma": Drg("840", "841", "842", 10_000, 6.0, ("30233N1",)),
    "delivery": Drg("805", "806", "807", 4_800, 2.2, ("10E0XZZ",)),
    "uterine": Drg("742", "743", "743", 8_500, 2.0, ("0UT94ZZ",)),
    "newborn": Drg("791", "792", "795", 3_000, 3.0, ("6A600ZZ",)),
    "psychiatric": Drg("885", "885", "885", 7_000, 7.0),
    "seizure": Drg("100", "101", "101", 7_000, 3.5),
    "joint": Drg("469", "470", "470", 12_500, 2.0, ("0SRC0J9", "0SR90J9")),
    "fracture": Drg("480", "481", "482", 11_500, 4.5, ("0SRR0J9",)),
    "gallbladder": Drg("417", "418", "419", 8_500, 3.0, ("0FT44ZZ",)),
    "transplant": Drg("650", "651", "652", 190_000, 8.0, ("0TY00Z0",)),
}
