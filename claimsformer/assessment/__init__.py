"""Decisions: edits, surprise and labels, fused and calibrated as one probability.

processor = ClaimsProcessor(tables=EditTables.of_reference(reference_tables())).fit(history, labels)
processor.save("model")
for assessment in ClaimsProcessor.load("model").assess(claims):
    print(assessment.decision, assessment.probability, [reason.evidence for reason in assessment.reasons])
"""

from claimsformer.assessment.costs import Costs
from claimsformer.assessment.decision import Assessment, Reason, SimilarClaim
from claimsformer.assessment.edits import Directory, EditTables, run_edits
from claimsformer.assessment.masked_model import MaskedModelConfig
from claimsformer.assessment.masked_training import MaskedTraining
from claimsformer.assessment.processor import ClaimsProcessor
from claimsformer.assessment.splits import check_disjoint, split_by, split_by_time

__all__ = [
    "Assessment",
    "ClaimsProcessor",
    "Costs",
    "Directory",
    "EditTables",
    "MaskedModelConfig",
    "MaskedTraining",
    "Reason",
    "SimilarClaim",
    "check_disjoint",
    "run_edits",
    "split_by",
    "split_by_time",
]
