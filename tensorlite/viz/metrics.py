"""Width of text in Helvetica, from its published metrics, and short forms of numbers.

Boxes are sized before any font is loaded, so every engine and every viewer gets the same picture; Arial and Liberation
Sans share these widths.
"""

from __future__ import annotations

import unicodedata

# Adobe Font Metrics of Helvetica, thousandths of an em, for U+0020 to U+007E.
_WIDTHS = """
    278 278 355 556 556 889 667 191 333 333 389 584 278 333 278 278 556 556 556 556 556 556 556 556 556 556 278 278
    584 584 584 556 1015 667 667 722 722 667 611 778 722 278 500 667 556 833 722 778 667 778 722 667 611 722 667 944
    667 667 611 278 278 278 469 556 333 556 556 500 556 556 278 556 556 222 222 500 222 833 556 556 556 556 333 500
    278 556 500 722 500 500 500 334 260 334 584
"""
_ASCII = tuple(int(w) for w in _WIDTHS.split())
_BOLD = 1.08  # bold Helvetica is at most this much wider over a line of text
_OTHER = {
    "×": 584,
    "·": 278,
    "…": 1000,
    "—": 1000,
    "–": 556,
    "→": 1000,
    "▸": 700,
    "▾": 700,
    "‖": 520,
    "√": 549,
    "∂": 494,
    "−": 584,
}

_ESCAPES = str.maketrans({chr(code): "�" for code in [*range(0x09), 0x0B, 0x0C, *range(0x0E, 0x20), 0x7F]})


def width(text: str, size: float, *, bold: bool = False) -> float:
    """Width of one line in pixels at font size `size`."""
    total = sum(_glyph(char) for char in text) * size / 1000
    return total * _BOLD if bold else total


def _glyph(char: str) -> int:
    code = ord(char)
    if 0x20 <= code < 0x7F:
        return _ASCII[code - 0x20]
    if char in _OTHER:
        return _OTHER[char]
    if unicodedata.combining(char):
        return 0
    return 1000 if unicodedata.east_asian_width(char) in "WF" else 620


def clip(text: str, size: float, limit: float, *, bold: bool = False) -> str:
    """`text`, cut with an ellipsis so that it is at most `limit` pixels wide."""
    if width(text, size, bold=bold) <= limit:
        return text
    while text and width(text + "…", size, bold=bold) > limit:
        text = text[:-1]
    return text + "…"


def one_line(text: str) -> str:
    """`text` on one line, without the control characters that XML forbids, nor lone surrogates."""
    flat = " ".join(text.translate(_ESCAPES).split())
    return flat.encode("utf-8", "replace").decode("utf-8").replace("\ufffe", "�").replace("\uffff", "�")


def count(n: float) -> str:
    """130, 16.6k, 1.24M: three digits."""
    for factor, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(n) >= factor * 0.9995:
            return f"{n / factor:.3g}{unit}"
    return f"{n:.3g}" if n != int(n) else str(int(n))


def nbytes(n: float) -> str:
    """512 B, 1.5 KiB, 24 MiB."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(n) < 1023.5 or unit == "GiB":
            return f"{n:.0f} {unit}" if unit == "B" else f"{n:.3g} {unit}"
        n /= 1024
    return ""


def dims(shape: tuple[int, ...]) -> str:
    """2×16×64, or `scalar`."""
    return "×".join(map(str, shape)) if shape else "scalar"


_DTYPES = {
    "float32": "f32",
    "float64": "f64",
    "float16": "f16",
    "int64": "i64",
    "int32": "i32",
    "uint8": "u8",
    "int8": "i8",
}


def dtype(name: str) -> str:
    return _DTYPES.get(name, name)
