"""Damage to the bytes of a file: flipped, lost, doubled, swapped and foreign bytes, truncation, lost and doubled lines."""

import random


def damaged(data: bytes, seed: int) -> bytes:
    """One damaged variant; the same seed gives the same bytes."""
    rng = random.Random(seed)
    kind = rng.randrange(9)
    at = rng.randrange(len(data))
    size = rng.choice([1, 1, 2, 8, 60])
    if kind == 0:
        return data[:at] + bytes([data[at] ^ (1 << rng.randrange(8))]) + data[at + 1 :]
    if kind == 1:
        return data[:at] + data[at + size :]
    if kind == 2:
        return data[: at + size] + data[at : at + size] + data[at + size :]
    if kind == 3:
        return data[:at] + bytes(rng.randrange(256) for _ in range(size)) + data[at + size :]
    if kind == 4:
        return data[:at]
    if kind == 5:
        return (
            data[:at]
            + rng.choice([b'"', b"\x00", b"\n", b",", b"{", b"[", b"~", b"*", b":", b"\xff", b"-", b"9" * 40])
            + data[at:]
        )
    lines = data.split(b"\n")
    row = rng.randrange(len(lines))
    if kind == 6:
        return b"\n".join(lines[:row] + lines[row + 1 :])
    if kind == 7:
        return b"\n".join([*lines[: row + 1], *lines[row:]])
    other = rng.randrange(len(data))
    low, high = min(at, other), max(at, other)
    return (
        data[:low] + data[high : high + size] + data[low + size : high] + data[low : low + size] + data[high + size :]
    )
