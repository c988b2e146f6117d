"""Plain NDJSON: one claim a line, fields named as in the schema, amounts as text or numbers, dates as YYYY-MM-DD."""

from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from claimsformer.claims.readers.records import Record, Refused, lines_of
from claimsformer.claims.schema import Claim, problems_of_error

__all__ = ["ndjson_records"]


def ndjson_records(path: Path) -> Iterator[Record]:
    """Each line of the file as a claim, or why it is none."""
    for number, line in lines_of(path):
        if line is None:
            yield number, Refused([("", None, "the line is longer than 64 MiB")])
            continue
        try:
            yield number, Claim.model_validate_json(line)
        except ValidationError as error:
            yield number, Refused([(field, None, reason) for field, reason in problems_of_error(error)])
