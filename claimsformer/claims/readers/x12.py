"""X12 files into claims: envelopes are checked (a transaction that lost a segment yields no claim), then each claim
is validated."""

from collections.abc import Iterator
from pathlib import Path

from claimsformer.claims.readers.records import Record, Refused
from claimsformer.claims.readers.x12_835 import Transaction835
from claimsformer.claims.readers.x12_837 import Draft, Transaction837
from claimsformer.claims.readers.x12_segments import Segment, segments_of
from claimsformer.claims.schema import Claim
from claimsformer.errors import ClaimError, SegmentError

__all__ = ["x12_records"]

Transaction = Transaction837 | Transaction835


def x12_records(path: Path) -> Iterator[Record]:
    """Each claim of an 837 or 835 file, or why it is none; the place of a claim is the number of its CLM or CLP
    segment."""
    transaction: Transaction | None = None
    start = Segment(["ISA"], 1)
    n_segments, position, last = 0, 0, ""
    try:
        for segment in segments_of(path):
            position = segment.position
            n_segments += 1
            last = segment.name
            if segment.name == "ST":
                if transaction is not None:
                    yield from _close(
                        transaction, start, [segment.error(0, "begins before the last transaction was closed by SE")]
                    )
                transaction, start, n_segments = _open(segment), segment, 1
                if transaction is None:
                    yield (
                        position,
                        _refusal(segment.error(1, "is neither 837 nor 835; other transactions are not read")),
                    )
            elif segment.name == "SE":
                if transaction is not None:
                    yield from _close(transaction, start, _envelope_errors(segment, start, n_segments), segment)
                elif start.name != "ST":
                    yield position, _refusal(segment.error(0, "closes a transaction that no ST opened"))
                transaction, start = None, segment
            elif transaction is not None:
                transaction.add(segment)
            elif segment.name in ("CLM", "CLP") and start.name != "ST":
                yield position, _refusal(segment.error(0, "stands outside a transaction (ST to SE)"))
    except SegmentError as error:
        if position == 0:
            raise
        last = "error"
        if transaction is not None:
            yield from _close(transaction, start, [error])
            transaction = None
        else:
            yield error.position, _refusal(error)
    if transaction is not None:
        yield from _close(
            transaction, start, [SegmentError("SE", 0, position, "is missing: the file ends inside a transaction")]
        )
    elif last not in ("IEA", "error"):
        yield position, _refusal(SegmentError("IEA", 0, position, "is missing: the file is cut off"))


def _open(segment: Segment) -> Transaction | None:
    if segment[1] == "837":
        return Transaction837(segment[3])
    return Transaction835() if segment[1] == "835" else None


def _envelope_errors(segment: Segment, start: Segment, n_segments: int) -> list[SegmentError]:
    if segment[1] != str(n_segments) and segment[1].lstrip("0") != str(n_segments):
        return [
            segment.error(1, f"does not match: the transaction has {n_segments} segments, so one was lost or added")
        ]
    if segment[2] != start[2]:
        return [segment.error(2, "is not the control number of the ST")]
    return []


def _refusal(error: SegmentError) -> Refused:
    return Refused([(f"{error.segment}{error.element:02d}" if error.element else error.segment, None, str(error))])


def _close(
    transaction: Transaction, start: Segment, errors: list[SegmentError], end: Segment | None = None
) -> Iterator[Record]:
    transaction.finish(end or start)
    told = {id(error) for draft in transaction.drafts for error in draft.errors}
    loose = [error for error in transaction.errors if id(error) not in told]
    if not transaction.drafts and not loose:
        loose = errors[:1]
        if not loose and isinstance(transaction, Transaction837):
            loose = [start.error(0, "opens a transaction without any claim (CLM)")]
    for error in loose:  # what no claim was told of: the claim itself may have been lost there
        yield error.position, _refusal(error)
    for draft in transaction.drafts:
        yield draft.position, _claim(draft, errors)


def _claim(draft: Draft, errors: list[SegmentError]) -> Claim | Refused:
    found = [*errors, *draft.errors]
    if found:
        return Refused([problem for error in found for problem in _refusal(error).problems])
    fields = {name: value for name, value in draft.fields.items() if value is not None and not name.startswith("_")}
    fields["lines"] = [{name: value for name, value in line.items() if value is not None} for line in draft.lines]
    try:
        return Claim.parse(fields)
    except ClaimError as error:
        return Refused(
            [(name, None, f"{reason} (claim at segment {draft.position})") for name, reason in error.problems]
        )
