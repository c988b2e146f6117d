"""One encoder reads both texts; a linear layer compares the two vectors (Reimers and Gurevych 2019)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

import tensorlite as tl
from claimsformer.tokenizer.text import TextTokenizer
from claimsformer.transformer import Transformer
from tensorlite import Tensor, nn
from tensorlite.nn import functional as F

__all__ = ["PairClassifier", "compare", "tokenised"]

TOGETHER = 16  #: texts that are padded to one length: few, or padding costs more than small products


def compare(u: Tensor, v: Tensor) -> Tensor:
    """`(N, 4 D + 1)` from vectors of length 1 `(N, D)`: their cosine, and by dimension their product, their distance, and both.

    With few labels the cosine decides; with many, what differs from it by dimension.
    """
    cosine = 10 * (u * v).sum(1, keepdim=True)
    u, v = u * math.sqrt(u.shape[1]), v * math.sqrt(v.shape[1])
    return tl.cat([cosine, u * v, (u - v).abs(), u, v], 1)  # type: ignore[no-any-return]


def tokenised(texts: Sequence[str], tokenizer: TextTokenizer, max_length: int) -> list[list[int]]:
    """Ids of each text, cut at `max_length` tokens."""
    return [list(tokenizer.encode(text, truncation=True, max_length=max_length)) for text in texts]


class PairClassifier(nn.Module):
    """Logits `(N, 2)`, fits or mismatch, for the tokens of N reasons and N lists of procedures."""

    def __init__(self, encoder: Transformer) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = nn.Linear(4 * encoder.config.d_model + 1, 2)
        for parameter in self.head.parameters():
            nn.init.zeros_(parameter)

    def forward(self, reasons: Sequence[list[int]], procedures: Sequence[list[int]]) -> Tensor:
        return self.head(compare(self.embed(reasons), self.embed(procedures)))  # type: ignore[no-any-return]

    def embed(self, rows: Sequence[list[int]]) -> Tensor:
        """Vectors of length 1, `(N, D)`; a text that occurs twice is computed once, and texts of similar length together."""
        texts = sorted({tuple(row) for row in rows}, key=lambda text: (len(text), text))
        vectors = tl.cat([self._mean(texts[k : k + TOGETHER]) for k in range(0, len(texts), TOGETHER)])  # (U, D)
        place = {text: k for k, text in enumerate(texts)}
        return F.normalize(vectors, dim=1)[tl.tensor([place[tuple(row)] for row in rows])]  # type: ignore[no-any-return]

    def _mean(self, texts: Sequence[tuple[int, ...]]) -> Tensor:
        """The mean of each text's vectors, `(U, D)`."""
        ids = np.zeros((len(texts), max(map(len, texts))), np.int64)
        real = np.zeros(ids.shape, np.bool_)
        for k, text in enumerate(texts):
            ids[k, : len(text)], real[k, : len(text)] = text, True
        hidden = self.encoder.encode(ids, attention_mask=real)  # (U, T, D)
        weights = (real / real.sum(1, keepdims=True)).astype(np.float32)
        return (hidden * tl.from_numpy(weights[..., None])).sum(1)  # type: ignore[no-any-return]

    def scores(self, reasons: Sequence[list[int]], procedures: Sequence[list[int]]) -> npt.NDArray[Any]:
        """How much more mismatch than fit, `(N,)`."""
        u, v = self.vectors(reasons, procedures)
        with tl.no_grad():
            logits = self.head(compare(u, v)).numpy()
        difference: npt.NDArray[Any] = logits[:, 1] - logits[:, 0]
        return difference

    def vectors(self, reasons: Sequence[list[int]], procedures: Sequence[list[int]]) -> tuple[Tensor, Tensor]:
        """Both texts of each claim as vectors `(N, D)`, without gradients and dropout."""
        self.eval()
        with tl.no_grad():
            both = self.embed([*reasons, *procedures])
            return both[: len(reasons)], both[len(reasons) :]
