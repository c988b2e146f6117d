"""The one exception tree of claimsformer.

::

    ClaimsformerError               anything claimsformer refuses, in one sentence with a way out
    ├── ClaimError (ValueError)     a claim breaks the schema; `.problems` lists (field, reason)
    ├── ReadError                   a file cannot be read
    │   ├── FormatError             its format is unknown, or not the one that was named
    │   ├── MappingError            the file of column names does not fit the schema or the data
    │   └── SegmentError            X12: names the segment, the element and the position in the file
    ├── WriteError                  claims cannot be written in the wanted format
    ├── CodeError (ValueError)      a code table is missing, or a code has no possible form
    ├── ConfigError (ValueError)    a setting is unknown or out of range
    ├── NotFittedError              a model is used before it is fitted
    ├── TrainingError               a training run cannot start or cannot go on
    │   ├── CheckpointError         a checkpoint is missing, damaged, or of another model
    │   └── NonFiniteError          the loss or a gradient is NaN or infinite; `.op` names the first op at fault
    ├── LeakageError                a split puts the same member or provider on both sides
    └── MissingExtraError           an optional dependency is not installed; names the extra

No message ever holds an identifier of a member or a claim: values are masked before they get here.
"""

from collections.abc import Sequence

__all__ = [
    "ClaimsformerError",
    "ClaimError",
    "ReadError",
    "FormatError",
    "MappingError",
    "SegmentError",
    "WriteError",
    "CodeError",
    "ConfigError",
    "NotFittedError",
    "TrainingError",
    "CheckpointError",
    "NonFiniteError",
    "LeakageError",
    "MissingExtraError",
]


class ClaimsformerError(Exception):
    """Base of every error that claimsformer raises on purpose; `hint` says what to do next."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class ClaimError(ClaimsformerError, ValueError):
    """A claim breaks the schema; `problems` holds one (field, reason) pair per broken rule."""

    def __init__(self, problems: Sequence[tuple[str, str]], *, hint: str | None = None) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(f"{field}: {reason}" for field, reason in self.problems), hint=hint)


class ReadError(ClaimsformerError):
    """A file cannot be read."""


class FormatError(ReadError):
    """The format of a file is unknown, or is not the one that was named."""


class MappingError(ReadError):
    """A mapping of column names does not fit the schema, or the file does not have its columns."""


class SegmentError(ReadError):
    """An X12 segment cannot be read; `segment`, `element` (1-based, 0 for the whole) and `position` (1-based) say
    where."""

    def __init__(self, segment: str, element: int, position: int, reason: str, *, hint: str | None = None) -> None:
        self.segment, self.element, self.position, self.reason = segment, element, position, reason
        name = f"{segment}{element:02d}" if element else segment
        super().__init__(f"{name} (segment {position} of the file): {reason}", hint=hint)


class WriteError(ClaimsformerError):
    """Claims cannot be written in the wanted format."""


class CodeError(ClaimsformerError, ValueError):
    """A code table is missing, or a code has no possible form."""


class ConfigError(ClaimsformerError, ValueError):
    """A setting is unknown or out of range."""


class NotFittedError(ClaimsformerError):
    """A model is used before it is fitted."""


class TrainingError(ClaimsformerError):
    """A training run cannot start or cannot go on."""


class CheckpointError(TrainingError):
    """A checkpoint is missing, damaged, or belongs to another model."""


class NonFiniteError(TrainingError):
    """The loss or a gradient became NaN or infinite; `op` is the name of the first op at fault, empty if unknown."""

    def __init__(self, message: str, *, op: str = "", hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.op = op


class LeakageError(ClaimsformerError):
    """A split puts the same member or provider on both sides."""


class MissingExtraError(ClaimsformerError, ImportError):
    """An optional dependency is missing; the message names the extra that installs it."""
