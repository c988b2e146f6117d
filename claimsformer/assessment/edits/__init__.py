"""Edits: rules over code tables and history, each with reason code, field, evidence and the amount at stake."""

from claimsformer.assessment.edits.rule import EDITS, FINDING_SCHEMA, Context, Edit, edit
from claimsformer.assessment.edits.run import firing_rates, flags, run_edits, switch_off
from claimsformer.assessment.edits.tables import Directory, EditTables

__all__ = [
    "EDITS",
    "FINDING_SCHEMA",
    "Context",
    "Directory",
    "Edit",
    "EditTables",
    "edit",
    "firing_rates",
    "flags",
    "run_edits",
    "switch_off",
]
