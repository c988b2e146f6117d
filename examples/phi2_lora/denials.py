"""What the adjustment codes of a remittance say, in the project's own words: code, meaning, usual group, first thing to do.

Groups (X12 835, CAS01): CO, a contractual obligation of the provider; PR, the patient's responsibility; OA, another adjustment.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["DENIALS", "Denial"]


class Denial(NamedTuple):
    """One claim adjustment reason code."""

    code: str
    meaning: str
    group: str
    action: str


DENIALS = tuple(
    Denial(*row)
    for row in (
        ("1", "the amount was applied to the yearly deductible", "PR", "bill the member for the deductible"),
        ("2", "the amount is the member's coinsurance", "PR", "bill the member for the coinsurance"),
        ("3", "the amount is the member's copayment", "PR", "collect the copayment from the member"),
        ("4", "the modifier is missing or does not fit the procedure", "CO", "correct the modifier and resubmit"),
        ("5", "the procedure does not fit the place of service", "CO", "check the place of service code and resubmit"),
        ("6", "the procedure does not fit the patient's age", "CO", "check the birth date and the procedure code"),
        ("7", "the procedure does not fit the patient's sex", "CO", "check the sex on file and the procedure code"),
        ("8", "the procedure does not fit the provider's specialty", "CO", "check the taxonomy code of the provider"),
        ("9", "the diagnosis does not fit the patient's age", "CO", "check the birth date and the diagnosis code"),
        ("10", "the diagnosis does not fit the patient's sex", "CO", "check the sex on file and the diagnosis code"),
        ("11", "the diagnosis does not support the procedure", "CO", "review the chart and link the right diagnosis"),
        ("13", "the date of death comes before the service", "OA", "check the member and the date of service"),
        ("14", "the birth date comes after the service", "OA", "correct the birth date and resubmit"),
        ("16", "the claim lacks information or has an error", "CO", "read the remark code and supply what is missing"),
        (
            "18",
            "the line is an exact duplicate of one already processed",
            "OA",
            "find the first claim before resubmitting",
        ),
        ("19", "the injury is work related", "OA", "bill the workers' compensation carrier"),
        ("20", "a liability insurer should pay", "OA", "bill the liability insurer"),
        ("21", "a no-fault motor insurer should pay", "OA", "bill the motor insurer"),
        ("22", "another payer may be primary", "OA", "bill the primary payer and attach its remittance"),
        ("23", "the prior payer's decision reduced the amount", "OA", "compare with the primary payer's remittance"),
        (
            "24",
            "the service is part of a capitation contract",
            "CO",
            "write the amount off under the capitation contract",
        ),
        ("26", "the service came before coverage began", "PR", "verify the effective date and bill the member"),
        ("27", "the service came after coverage ended", "PR", "verify the termination date and find other coverage"),
        ("29", "the filing limit had passed", "CO", "send proof of timely filing"),
        (
            "31",
            "the patient cannot be identified as a member",
            "PR",
            "check the member number and the name on the card",
        ),
        ("35", "the lifetime benefit has been used up", "PR", "tell the member that the lifetime benefit is exhausted"),
        (
            "39",
            "the authorization had been refused before the service",
            "CO",
            "appeal the refusal of the authorization",
        ),
        ("40", "the visit did not qualify as an emergency", "PR", "send the emergency record with an appeal"),
        ("45", "the charge is above the contracted fee schedule", "CO", "write off the amount above the fee schedule"),
        (
            "49",
            "routine or screening care is not covered",
            "PR",
            "check whether the visit was preventive or diagnostic",
        ),
        ("50", "the payer does not consider the service medically necessary", "CO", "appeal with the clinical notes"),
        ("51", "a pre-existing condition is not covered", "PR", "check the plan's rule on pre-existing conditions"),
        ("54", "an assistant surgeon is not covered for this procedure", "CO", "send the operative report"),
        ("55", "the payer considers the treatment experimental", "CO", "appeal with published clinical evidence"),
        ("58", "the place of service is not appropriate for the treatment", "CO", "explain why the setting was needed"),
        ("59", "the multiple procedure rule reduced the amount", "CO", "check the order of procedures on the claim"),
        ("96", "the charge is not covered", "PR", "read the remark code and check the benefit booklet"),
        (
            "97",
            "the service is included in another paid service",
            "CO",
            "check the bundling edit and the global period",
        ),
        ("107", "the claim that this one depends on is missing", "CO", "submit the related claim first"),
        ("109", "this payer does not cover the claim", "OA", "send the claim to the right payer"),
        (
            "119",
            "the benefit limit for the period has been reached",
            "PR",
            "count the visits used in the benefit period",
        ),
        ("129", "the data of the prior payer is incorrect", "OA", "correct the amounts of the prior payer"),
        (
            "146",
            "the diagnosis code was not valid on the date of service",
            "CO",
            "use the code set of the service year",
        ),
        ("151", "the number of services is not supported", "CO", "send records that support the frequency"),
        ("167", "the diagnosis is not covered", "PR", "check the exclusion list of the plan"),
        (
            "170",
            "this type of provider is not paid for the service",
            "CO",
            "check the provider type against the policy",
        ),
        (
            "181",
            "the procedure code was not valid on the date of service",
            "CO",
            "look the code up in that year's manual",
        ),
        ("182", "the modifier was not valid on the date of service", "CO", "replace the modifier by a current one"),
        ("197", "prior authorization is absent", "CO", "ask for a retroactive authorization"),
        ("198", "more was billed than the authorization allowed", "CO", "ask to extend the authorization"),
        ("204", "the plan does not cover the service or drug", "PR", "look for a covered alternative"),
        (
            "226",
            "the records that were requested did not arrive",
            "CO",
            "send the requested records before the deadline",
        ),
        ("234", "the procedure is not paid separately", "CO", "do not unbundle the procedure"),
        ("236", "the pair of procedures breaks a coding edit", "CO", "check whether a modifier may split the pair"),
        ("242", "the provider is outside the network", "PR", "check for a network exception or a referral"),
        ("252", "an attachment is needed to decide", "OA", "send the attachment with the control number"),
        ("B7", "the provider was not certified for the service on that day", "CO", "check the enrollment date"),
        ("B9", "the patient is enrolled in a hospice", "OA", "bill the hospice or add the hospice modifier"),
        ("B13", "the service was paid on an earlier remittance", "OA", "search for the earlier payment"),
        ("B15", "a qualifying service was not billed", "CO", "bill the qualifying service on the same claim"),
        ("B16", "the rule for new patients was not met", "CO", "use an established patient code"),
    )
)
