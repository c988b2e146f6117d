"""Four ways from labelled claims to scores of other claims: cosine (no labels), frozen, adapted (LoRA), and from scratch.

All four compare the two texts in the same way; they differ in where the encoder comes from and in what of it learns.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import tensorlite as tl
from claimsformer.tokenizer.text import TextTokenizer
from claimsformer.training import CrossEntropy, Trainer
from claimsformer.training.lora import LoraConfig, inject
from claimsformer.transformer import Transformer, TransformerConfig, from_hugging_face
from tensorlite import Tensor, nn, optim
from tensorlite.nn import functional as F
from tensorlite.utils.data import DataLoader

from .claims import Claims
from .model import PairClassifier, compare, tokenised

__all__ = ["METHODS", "Pretrained", "Recipe", "Scored", "fit_head", "score"]

METHODS = ("cosine", "frozen", "adapted", "scratch")
MAX_LENGTH = 64  # tokens; longer texts are cut
Floats = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """Settings of the two trainings, the same for every number of labels. `epochs` are those at 100, 1,000 and 10,000 labels or
    more; between these the smaller number counts. penalties: of the frozen encoder's head, chosen by cross-validation."""

    adapted_epochs: tuple[int, int, int] = (10, 3, 1)
    adapted_lr: float = 1e-3
    rank: int = 8
    scratch_epochs: tuple[int, int, int] = (40, 20, 10)
    scratch_lr: float = 2e-3
    width: int = 64
    layers: int = 2
    vocabulary: int = 2000
    batch_size: int = 32
    penalties: tuple[float, ...] = (10.0, 3.0, 1.0, 0.3, 0.1, 0.03, 0.01)


@dataclasses.dataclass(frozen=True)
class Scored:
    """Scores of the test claims, higher for mismatch, and how many parameters learned."""

    scores: Floats
    trainable: int


class Pairs:
    """The two texts of claims as tokens, and labels 0 or 1."""

    def __init__(self, claims: Claims, tokenizer: TextTokenizer) -> None:
        self.reasons = tokenised(claims.reasons, tokenizer, MAX_LENGTH)
        self.procedures = tokenised(claims.procedures, tokenizer, MAX_LENGTH)
        self.labels = claims.mismatch.astype(np.int64)


class Pretrained:
    """An encoder of a folder, frozen; every text is encoded once, however often it is asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tokenizer = TextTokenizer.from_pretrained(folder)
        self.model = PairClassifier(from_hugging_face(folder)).requires_grad_(False)
        self._known: dict[str, npt.NDArray[Any]] = {}

    def vectors(self, claims: Claims) -> tuple[Tensor, Tensor]:
        """Both texts of each claim, `(N, D)` each."""
        new = [t for t in dict.fromkeys([*claims.reasons, *claims.procedures]) if t not in self._known]
        if new:
            rows = tokenised(new, self.tokenizer, MAX_LENGTH)
            self._known |= dict(zip(new, self.model.vectors(rows, rows)[0].numpy(), strict=True))
        u, v = (np.stack([self._known[t] for t in texts]) for texts in (claims.reasons, claims.procedures))
        return tl.from_numpy(u), tl.from_numpy(v)

    def fresh(self) -> PairClassifier:
        """Another classifier on the same weights, which may change: they are memory-mapped and copied when written."""
        return PairClassifier(from_hugging_face(self.folder))


def score(
    method: str, train: Claims, test: Claims, pretrained: Pretrained, seed: int, recipe: Recipe, texts: Sequence[str]
) -> Scored:
    """What `method` learns from `train`, asked about `test`. `texts` are unlabelled, for the tokenizer of the one that starts anew."""
    tl.manual_seed(seed)
    if method == "scratch":
        return _scratch(train, test, seed, recipe, texts)
    if method == "cosine":
        u, v = pretrained.vectors(test)
        return Scored(-(u * v).sum(1).numpy().astype(np.float64), 0)
    labels = train.mismatch.astype(np.int64)
    head = fit_head(compare(*pretrained.vectors(train)), labels, recipe.penalties, seed)
    if method == "frozen":
        with tl.no_grad():
            logits = head(compare(*pretrained.vectors(test))).numpy().astype(np.float64)
        return Scored(logits[:, 1] - logits[:, 0], sum(p.numel() for p in head.parameters()))
    return _adapted(train, test, head, pretrained, seed, recipe)


def _adapted(train: Claims, test: Claims, head: nn.Linear, pretrained: Pretrained, seed: int, recipe: Recipe) -> Scored:
    model = pretrained.fresh()
    model.head.load_state_dict(head.state_dict())  # from the frozen encoder's head on (Kumar et al. 2022)
    inject(model.encoder, LoraConfig(target_modules="all-linear", r=recipe.rank, alpha=2.0 * recipe.rank), seed=seed)
    groups = [
        {"params": [p for n, p in model.named_parameters() if "lora_" in n], "lr": recipe.adapted_lr},
        {"params": list(model.head.parameters()), "lr": recipe.adapted_lr / 10},
    ]
    optimizer = optim.AdamW(groups, weight_decay=0.01)
    known, asked = Pairs(train, pretrained.tokenizer), Pairs(test, pretrained.tokenizer)
    _train(model, known, optimizer, _epochs(recipe.adapted_epochs, len(train)), seed, recipe)
    return _asked(model, asked)


def _asked(model: PairClassifier, asked: Pairs) -> Scored:
    found = model.scores(asked.reasons, asked.procedures).astype(np.float64)
    return Scored(found, sum(p.numel() for p in model.parameters() if p.requires_grad))


def _scratch(train: Claims, test: Claims, seed: int, recipe: Recipe, texts: Sequence[str]) -> Scored:
    tokenizer = TextTokenizer.train(sorted(set(texts)), recipe.vocabulary, medical=False)
    config = TransformerConfig(
        architecture="encoder",
        vocab_size=len(tokenizer),
        d_model=recipe.width,
        n_layers=recipe.layers,
        max_length=MAX_LENGTH,
        dropout=0.1,
        head=False,
    )
    model = PairClassifier(Transformer(config, seed=seed))
    known, asked = Pairs(train, tokenizer), Pairs(test, tokenizer)
    optimizer = optim.AdamW(model.parameters(), lr=recipe.scratch_lr, weight_decay=0.01)
    _train(model, known, optimizer, _epochs(recipe.scratch_epochs, len(train)), seed, recipe)
    return _asked(model, asked)


def _epochs(choices: tuple[int, int, int], n: int) -> int:
    return choices[0] if n < 1000 else choices[1] if n < 10_000 else choices[2]


def _train(model: PairClassifier, known: Pairs, optimizer: Any, epochs: int, seed: int, recipe: Recipe) -> None:
    trainer = Trainer(
        model,
        CrossEntropy(),
        optimizer,
        schedule="linear",
        warmup=0.1,
        forward=_forward,
        seed=seed,
        progress=False,
    )
    rows = list(zip(known.reasons, known.procedures, known.labels.tolist(), strict=True))
    shuffled = tl.Generator().manual_seed(seed)
    loader = DataLoader(rows, batch_size=recipe.batch_size, shuffle=True, collate_fn=_columns, generator=shuffled)
    trainer.fit(loader, epochs=epochs)


def _columns(rows: list[Any]) -> dict[str, Any]:
    reasons, procedures, labels = zip(*rows, strict=True)
    return {"reasons": list(reasons), "procedures": list(procedures), "labels": tl.tensor(labels)}


def _forward(model: Any, batch: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
    return model(batch["reasons"], batch["procedures"]), batch["labels"]


def fit_head(features: Tensor, labels: npt.NDArray[np.int64], penalties: Sequence[float], seed: int) -> nn.Linear:
    """Logistic regression on `(N, F)`, the penalty on its squared weights chosen by five-fold cross-validation; one fold of
    many labels is enough."""
    folds = np.random.default_rng([seed, 5]).permutation(len(labels)) % 5
    x = features.numpy()

    def held_out_loss(penalty: float) -> float:
        total = 0.0
        for k in range(5 if len(labels) < 5000 else 1):
            head = _logistic(x[folds != k], labels[folds != k], penalty)
            with tl.no_grad():
                total += F.cross_entropy(
                    head(tl.from_numpy(x[folds == k])), tl.from_numpy(labels[folds == k]), reduction="sum"
                ).item()
        return total if math.isfinite(total) else math.inf

    return _logistic(x, labels, min(penalties, key=held_out_loss))


def _logistic(x: npt.NDArray[Any], labels: npt.NDArray[np.int64], penalty: float) -> nn.Linear:
    features, targets = tl.from_numpy(x), tl.from_numpy(labels)
    head = nn.Linear(x.shape[1], 2)
    for parameter in head.parameters():
        nn.init.zeros_(parameter)
    optimizer = optim.LBFGS(head.parameters(), max_iter=60, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        fit = F.cross_entropy(head(features), targets)
        value: Tensor = fit + penalty * (head.weight[:, 1:] ** 2).sum()  # the cosine is free
        value.backward()
        return value

    optimizer.step(loss)
    return head
