"""Bytes as printable characters, as GPT-2's vocabulary files write them."""

from __future__ import annotations

__all__ = ["BYTE_TO_CHAR", "CHAR_TO_BYTE", "bytes_of_token", "decode_bytes", "encode_bytes", "token_of_bytes"]


def _byte_alphabet() -> dict[int, str]:
    """Printable Latin-1 characters stand for their own byte, the other bytes for U+0100 onwards."""
    own = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = (byte for byte in range(256) if byte not in own)
    moved = {byte: chr(0x100 + number) for number, byte in enumerate(others)}
    return {byte: moved.get(byte, chr(byte)) for byte in range(256)}


BYTE_TO_CHAR = _byte_alphabet()
CHAR_TO_BYTE = {character: byte for byte, character in BYTE_TO_CHAR.items()}
_TO_CHARS = str.maketrans({chr(byte): character for byte, character in BYTE_TO_CHAR.items()})


def token_of_bytes(data: bytes) -> str:
    """The printable form of bytes."""
    return data.decode("latin-1").translate(_TO_CHARS)


def bytes_of_token(token: str) -> bytes | None:
    """The bytes that a printable form stands for, None when it is no such form."""
    try:
        return bytes([CHAR_TO_BYTE[character] for character in token])
    except KeyError:
        return None


def encode_bytes(text: str) -> bytes:
    """UTF-8, in which a lone surrogate takes three bytes of its own, so that every Python string has a form."""
    return text.encode("utf-8", "surrogatepass")


def decode_bytes(data: bytes) -> str:
    """The inverse of `encode_bytes`; bytes that are no text (a token sequence cut within a character) become U+FFFD."""
    try:
        return data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return data.decode("utf-8", "replace")
