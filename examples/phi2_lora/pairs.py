"""Questions and answers on denials, appeals and prior authorisation: what a claims office asks, written by the project.

Every denial code is asked about in four ways for training and in a fifth, held out, that is worded differently. Beside
these stand questions on appeals and prior authorisation, each with its own answer; every sixth of them is held out.
`near_duplicates` finds questions that are too much alike; the two parts must have none in common.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from .denials import DENIALS, Denial

__all__ = ["GENERAL", "Pair", "held_out", "near_duplicates", "training"]

_GROUPS = {
    "CO": "the provider must write it off",
    "PR": "the member may be billed",
    "OA": "neither contract nor member decides, another payer or record does",
}


class Pair(NamedTuple):
    """An instruction, its response, and the words that a right answer must contain."""

    instruction: str
    response: str
    fact: str
    topic: str = "denials"


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "."


def _asked_in_training(d: Denial) -> Iterable[Pair]:
    yield Pair(
        f"What does denial code {d.code} mean on a remittance?", f"Code {d.code} means that {d.meaning}.", d.meaning
    )
    yield Pair(f"A line came back with {d.group}-{d.code}. What should I do first?", _sentence(d.action), d.action)
    yield Pair(
        f"Which group code usually comes with reason {d.code}, and who pays?",
        f"The group code is {d.group}: {_GROUPS[d.group]}.",
        f"group code is {d.group}",
    )
    yield Pair(
        f"Write a work note for a claim that was denied with {d.code}.",
        f"Denied with {d.group}-{d.code}: {d.meaning}. Next step: {d.action}.",
        d.action,
    )


def _asked_later(d: Denial) -> Pair:
    question = f"Please explain to a new biller in one sentence why adjustment reason {d.code} was used."
    return Pair(question, f"Code {d.code} means that {d.meaning}.", d.meaning)


_APPEALS = (
    ("What must an appeal letter name first?", "The member, the claim number, the date of service and the denial reason.", "claim number"),
    ("How is a clinical appeal different from an administrative one?", "A clinical appeal argues medical necessity; an administrative one argues rules, dates or coding.", "medical necessity"),
    ("Who decides an external review?", "An independent review organization that the plan does not control.", "independent review organization"),
    ("May the doctor who denied a request also decide its appeal?", "No. A different clinician of a suitable specialty must decide the appeal.", "different clinician"),
    ("What proves that a claim was filed in time?", "The clearinghouse acceptance report with its date proves timely filing.", "acceptance report"),
    ("What is an expedited appeal for?", "For cases where waiting could seriously harm the patient's health.", "harm the patient"),
    ("What belongs in the evidence for a medical necessity appeal?", "Clinical notes, test results, failed treatments and a guideline that supports the service.", "Clinical notes"),
    ("Can a member let somebody else appeal?", "Yes. The member signs a form that names an authorized representative.", "authorized representative"),
    ("When does a corrected claim serve better than an appeal?", "When the denial rests on a coding or data error, a corrected claim is faster.", "corrected claim"),
    ("What is a peer-to-peer call?", "A talk between the treating doctor and the plan's medical director about a denial.", "medical director"),
    ("What happens to balance billing while an appeal is open?", "The account is put on hold until the appeal is decided.", "on hold"),
    ("What should a second level appeal add?", "It should answer each reason of the first decision with new evidence.", "new evidence"),
    ("How do I appeal a bundling denial?", "Show with the operative report that the services were distinct, and name the modifier.", "operative report"),
    ("How do I appeal a frequency denial?", "Document why each visit was needed and cite the policy limit.", "policy limit"),
    ("How do I appeal an experimental treatment denial?", "Cite published trials, the drug label and national guidelines.", "published trials"),
    ("What does it mean that an appeal was overturned?", "The plan changed its decision in favor of the appeal and will pay.", "in favor"),
    ("What does it mean that a denial was upheld?", "The plan kept its decision; the next level of appeal is open.", "kept its decision"),
    ("Which date starts the clock for an appeal?", "The date on the denial notice starts the clock.", "denial notice"),
    ("Should an appeal repeat the whole chart?", "No. Send the pages that prove the point and mark them.", "pages that prove"),
    ("What must a denial notice tell the member?", "The reason, the rule behind it, and how to appeal.", "how to appeal"),
    ("Why track the outcome of appeals by reason?", "It shows which denials can be prevented at registration or coding.", "prevented"),
    ("Who may see the criteria behind a medical denial?", "The member and the provider may ask for the criteria free of charge.", "free of charge"),
    ("What is a good subject line for an appeal?", "Appeal, claim number, date of service and reason code.", "reason code"),
    ("Can an underpayment be appealed?", "Yes. Compare the payment with the contract and send the fee schedule page.", "fee schedule page"),
    ("What if the plan does not answer an appeal in time?", "File a complaint with the state insurance department.", "insurance department"),
    ("What is the risk of a generic appeal letter?", "It does not answer the stated reason and is usually upheld.", "stated reason"),
    ("Is a phone call enough for an appeal?", "No. Follow every call with a written appeal and keep the reference number.", "written appeal"),
    ("How are several claims with one error appealed?", "Ask for one project review with a list of all the claims.", "project review"),
    ("What closes an appeal file?", "The decision letter, the payment or write-off, and a note of the cause.", "decision letter"),
    ("Which appeals come first in the queue?", "Those with the nearest deadline, then those with the highest amount.", "nearest deadline"),
)  # fmt: skip

_AUTHORIZATION = (
    ("What is prior authorization?", "The plan's approval of a service before it is given.", "before it is given"),
    ("Does an authorization guarantee payment?", "No. Coverage and eligibility on the day of service still decide.", "day of service"),
    ("What must a request for authorization contain?", "The diagnosis, the procedure code, the units, the dates and the clinical reason.", "procedure code"),
    ("What is a retroactive authorization?", "An approval that is asked for after the service, for example after an emergency.", "after the service"),
    ("Which services often need authorization?", "Imaging, surgery, infusions, equipment and inpatient stays.", "Imaging"),
    ("Does emergency care need prior authorization?", "No. Emergency care needs none, but the plan should be told soon after.", "needs none"),
    ("What if more units are needed than were approved?", "Ask for an extension before the extra units are given.", "extension"),
    ("What if the surgeon changes the procedure during the operation?", "Call the plan at once and update the code of the authorization.", "update the code"),
    ("Where does the authorization number go on an institutional claim?", "It goes into the reference segment with qualifier G1.", "G1"),
    ("What is step therapy?", "The plan asks that a cheaper drug be tried before a dearer one.", "cheaper drug"),
    ("How do I ask for an exception to step therapy?", "Show that the cheaper drug failed, harmed the patient or cannot be used.", "failed"),
    ("What is a referral?", "The primary doctor's order to see a specialist; it is not an authorization.", "not an authorization"),
    ("How long is an authorization valid?", "Only between the dates printed on the approval.", "dates printed"),
    ("What is concurrent review?", "The plan reviews the stay day by day while the patient is in the hospital.", "while the patient"),
    ("Who may refuse a request on clinical grounds?", "Only a licensed clinician of the plan may refuse on clinical grounds.", "licensed clinician"),
    ("What if a request is pending too long?", "Ask for an expedited decision and note the call reference.", "expedited decision"),
    ("Why do authorizations and claims fail to match?", "The code, the provider, the dates or the units differ.", "units differ"),
    ("What is a gold card?", "Providers with a high approval rate need not ask for certain services.", "high approval rate"),
    ("What is a formulary exception?", "Permission to cover a drug that is not on the plan's list.", "not on the plan's list"),
    ("Does a transfer to another hospital need a new approval?", "Yes. The new facility needs its own approval.", "own approval"),
    ("What does a peer review check in a request?", "Whether the records meet the criteria for the service.", "meet the criteria"),
    ("Can a denied request be sent again?", "Yes, if it brings new clinical facts; otherwise appeal.", "new clinical facts"),
    ("Who must obtain the approval for an inpatient stay?", "The admitting facility obtains it.", "admitting facility"),
    ("What is a quantity limit?", "The largest amount of a drug that the plan covers in a period.", "largest amount"),
    ("What should be checked before scheduling a scan?", "Eligibility, the authorization list and the patient's share.", "authorization list"),
    ("What is a site of care rule?", "The plan pays for an infusion only in a less costly setting.", "less costly setting"),
    ("Which form carries an electronic request?", "The X12 278 transaction carries an electronic request.", "278"),
    ("What is a pended request?", "One that waits for more information before a decision.", "more information"),
    ("How is a denial of authorization worded to a patient?", "Plainly: what was refused, why, and how to appeal.", "what was refused"),
    ("What is an approval letter good for after the visit?", "It is evidence when the claim is denied for missing authorization.", "evidence"),
)  # fmt: skip

#: Prompts that have nothing to do with claims: what fine-tuning should not make a model forget.
GENERAL = (
    ("The capital of France is", " Paris"),
    ("The opposite of hot is", " cold"),
    ("Two plus two equals", " four"),
    ("The sun rises in the", " east"),
    ("Water freezes into", " ice"),
    ("The color of the sky is", " blue"),
    ("A week has seven", " days"),
    ("Cats and dogs are", " animals"),
    ("The first month of the year is", " January"),
    ("Bees make", " honey"),
)


def _others(every_sixth: bool) -> list[Pair]:
    written = [Pair(q, a, fact, topic) for topic, rows in (("appeals", _APPEALS), ("authorization", _AUTHORIZATION)) for q, a, fact in rows]  # fmt: skip
    return [pair for i, pair in enumerate(written) if (i % 6 == 5) is every_sixth]


def training() -> list[Pair]:
    """The pairs to train on."""
    return [pair for d in DENIALS for pair in _asked_in_training(d)] + _others(False)


def held_out() -> list[Pair]:
    """The pairs to judge by: known codes asked about in new words, and new questions on appeals and authorisation."""
    return [_asked_later(d) for d in DENIALS] + _others(True)


def near_duplicates(left: Sequence[Pair], right: Sequence[Pair], threshold: float = 0.6) -> list[tuple[Pair, Pair]]:
    """Pairs of questions whose runs of three words overlap by the threshold or more (Jaccard; Broder 1997)."""
    theirs = [(_shingles(pair.instruction), pair) for pair in right]
    return [
        (pair, other)
        for pair in left
        for shingles, other in theirs
        if other is not pair and _jaccard(_shingles(pair.instruction), shingles) >= threshold
    ]


def _shingles(text: str, n: int = 3) -> frozenset[tuple[str, ...]]:
    words = re.findall(r"[a-z0-9-]+", text.lower())
    return frozenset(tuple(words[i : i + n]) for i in range(max(1, len(words) - n + 1)))


def _jaccard(a: frozenset[tuple[str, ...]], b: frozenset[tuple[str, ...]]) -> float:
    return len(a & b) / len(a | b)
