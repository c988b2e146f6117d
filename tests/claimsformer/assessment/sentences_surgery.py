"""Sentences about common operations, written before the generated world had these operations and its model was trained.

(sentence, None for ordinary, else the fields of which at least one must be named as the reason)
"""

PRICE = {"charge_amount", "lines.charge_amount"}
SERVICE = {"lines.procedure_code", "diagnoses"}
PERSON = {"diagnoses", "member_sex", "member_birth_date", "lines.procedure_code"}

SENTENCES: list[tuple[str, set[str] | None]] = [
    ("Woman, 66 years old, knee arthritis, knee replacement, $1,600", None),
    ("Hip arthritis, man 71 years old, hip replacement, $1,700", None),
    ("24-year-old man with appendicitis, appendectomy, $1,250", None),
    ("Coronary artery disease, coronary stent, $1,400", None),
    ("Breast cancer, woman 54 years old, mastectomy, $1,400", None),
    ("Pregnant woman, 31 years old, C-section, $2,000", None),
    ("Obesity, gastric bypass, $2,300", None),
    ("Back pain, spinal fusion, $2,900", None),
    ("Diabetes patient, Metformin 500mg, knee replacement", SERVICE),
    ("Diabetes patient, Metformin 500mg, appendectomy, $1,200", SERVICE),
    ("Diabetes patient, heart bypass surgery, $2,700", SERVICE),
    ("High blood pressure, hip replacement, $1,600", SERVICE),
    ("Migraine, mastectomy, $1,400", SERVICE),
    ("Eczema, appendix removal, $1,100", SERVICE),
    ("ADHD patient billed for a spinal fusion, $2,800", SERVICE),
    ("Cataract, gastric bypass, $2,200", SERVICE),
    ("Sore throat, brain surgery, $3,000", SERVICE),
    ("Knee arthritis, knee replacement, $38,000", PRICE),
    ("Appendicitis, appendectomy, $29,000", PRICE),
    ("HIV, emtricitabine 200 mg, $60,000", PRICE),
    ("Man, 45 years old, pregnant, C-section, $2,000", PERSON),
]
