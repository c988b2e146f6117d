"""Utilities by torch's names: `data`, `checkpoint`, and reading and writing of safetensors."""
