"""Fifty more sentences, written before the packaged model of format 2 was trained, and after the first fifty were known.

(sentence, None for ordinary, else the fields of which at least one must be named as the reason)
"""

PRICE = {"charge_amount", "lines.charge_amount"}
SERVICE = {"lines.procedure_code", "diagnoses", "lines.drug_name"}
PERSON = {"diagnoses", "member_sex", "member_birth_date", "lines.procedure_code", "lines.drug_name"}
AMOUNT_OF_DRUG = {"lines.quantity", "lines.strength", "lines.days_supply"}

SENTENCES: list[tuple[str, set[str] | None]] = [
    ("Diabetes patient, Metformin 500mg, $150", None),
    ("patient is diabetic and takes glipizide 10 mg, 30 tablets for 30 days, billed $5", None),
    ("Rx: warfarin 5 mg, 30 tabs. Dx: atrial fibrillation. Charge: $6", None),
    ("52 year old woman with high blood pressure; hydrochlorothiazide 25 mg; $8.40", None),
    ("I10 - lisinopril 20 mg - 30 tablets - 30 days - $4.10", None),
    ("Simvastatin 10 mg for high cholesterol, 90 tablets, 90 days supply, total $16", None),
    ("Man, 67 years old, BPH, finasteride 5 mg, $30", None),
    ("Breast cancer, woman 61 years old, tamoxifen 20 mg, 30 tablets, 30 days, $18", None),
    ("Sore throat. Amoxicillin 500 mg, 30 capsules, 10 days. $9", None),
    ("Pneumonia, azithromycin 250 mg, $11", None),
    ("bladder infection, ciprofloxacin 500 mg, 14 tablets, 7 days, $10", None),
    ("Asthmatic, 34-year-old woman, fluticasone 110 mcg, $260", None),
    ("Kidney transplant recipient on tacrolimus 1 mg, $340", None),
    ("HIV, emtricitabine 200 mg, 30 tablets, 30 days, $1,750", None),
    ("Rheumatoid arthritis, methotrexate 2.5 mg, $24", None),
    ("Low back pain, cyclobenzaprine 10 mg, $6", None),
    ("Naproxen 500 mg for knee arthritis, $13", None),
    ("Eczema, triamcinolone 0.1 % cream, $19", None),
    ("Pregnant woman, 29 years old, obstetric ultrasound, $180", None),
    ("Woman of 68 years, osteoporosis, bone density scan, $95", None),
    ("Sleep apnea, CPAP, $760", None),
    ("Back pain, physical therapy, $100", None),
    ("Depression - psychotherapy session - $115", None),
    ("Hypothyroidism, thyroid panel, $36", None),
    ("Male, 58 years old, inguinal hernia, hernia repair, $1,250", None),
    ("Diabetes patient, Metformin 500mg, $5,000", PRICE),
    ("Diabetes patient, Metformin 500mg, cataract surgery", SERVICE),
    ("Rx: warfarin 5 mg, 30 tabs. Dx: atrial fibrillation. Charge: $2,600", PRICE),
    ("I10 - lisinopril 20 mg - 30 tablets - 30 days - $1,410", PRICE),
    ("Simvastatin 10 mg for high cholesterol, 90 tablets, 90 days supply, total $3,150", PRICE),
    ("Sore throat. Amoxicillin 500 mg, 30 capsules, 10 days. $1,900", PRICE),
    ("Low back pain, cyclobenzaprine 10 mg, $2,200", PRICE),
    ("Pneumonia, azithromycin 250 mg, $4,400", PRICE),
    ("Sleep apnea, CPAP, $21,000", PRICE),
    ("Hypothyroidism, thyroid panel, $1,650", PRICE),
    ("Pregnant woman, 29 years old, obstetric ultrasound, $6,900", PRICE),
    ("Back pain, brain MRI, $14,000", PRICE | SERVICE),
    ("Eczema, dialysis, $270", SERVICE),
    ("Sore throat and hysterectomy, $1,900", SERVICE),
    ("Patient with migraine billed for gallbladder removal, $1,500", SERVICE),
    ("High cholesterol; knee x-ray; $35", SERVICE),
    ("ADHD, cataract surgery, $1,000", SERVICE),
    ("Gout patient, sleep study, $600", SERVICE),
    ("Cataract, physical therapy, $100", SERVICE),
    ("Woman, 55 years old, enlarged prostate, tamsulosin 0.4 mg, $14", PERSON),
    ("Man, 40 years old, pregnant, office visit, $100", PERSON),
    ("8-year-old boy with dementia, donepezil 10 mg, $10", PERSON),
    ("Depression, sertraline 50 mg, 900 tablets, 30 days, $190", AMOUNT_OF_DRUG),
    ("Hypertension, amlodipine 500 mg, 30 tablets, 30 days, $4", AMOUNT_OF_DRUG),
    ("GERD, omeprazole 20 mg, 600 capsules, 30 days, $120", AMOUNT_OF_DRUG),
]
