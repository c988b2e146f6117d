"""Decisions: edits, surprise and labels, fused and calibrated as one probability."""
