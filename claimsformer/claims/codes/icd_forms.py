"""How ICD codes are written: with and without the dot."""

__all__ = ["dotted"]


def dotted(code: str, system: str) -> str:
    """A diagnosis code with its dot: after three characters, in ICD-9 E codes after four; other systems have none."""
    place = 4 if system == "icd9" and code.startswith("E") else 3
    return f"{code[:place]}.{code[place:]}" if system in ("icd9", "icd10") and len(code) > place else code
