"""Layouts of public sets: DE-SynPUF inpatient claims (as joined, and as CMS publishes them) and Kaggle's provider-fraud set."""

from claimsformer.claims.readers.layout import Join, Layout, Slice
from claimsformer.claims.states import SSA_STATES

__all__ = ["PROVIDER_FRAUD", "SYNPUF", "SYNPUF_CMS"]


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
