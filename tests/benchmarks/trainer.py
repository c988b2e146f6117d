"""The Trainer against the bare loop over the same batches: what its counting, clipping, history and progress cost."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator

import numpy as np

import tensorlite as tl
from claimsformer.training import TokenCrossEntropy, Trainer
from claimsformer.training.data import make_loader
from claimsformer.training.progress import PlainLines
from claimsformer.transformer import Transformer, TransformerConfig
from tensorlite import optim
from tensorlite.nn import functional as F
from tensorlite.nn.utils import clip_grad_norm_

from .harness import Ratio, compare

VOCABULARY, BATCH, LENGTH, STEPS = 64, 8, 32, 10


def data() -> tuple[np.ndarray, np.ndarray]:
    ids = np.random.default_rng(0).integers(0, VOCABULARY, (BATCH * STEPS, LENGTH + 1))
    return ids[:, :-1].copy(), ids[:, 1:].copy()


def model() -> Transformer:
    return Transformer(TransformerConfig(vocab_size=VOCABULARY, d_model=64, n_layers=2, n_heads=4), seed=0)


def with_trainer() -> Callable[[], None]:
    trainer = Trainer(model(), TokenCrossEntropy(), lr=1e-4, batch_size=BATCH, progress=PlainLines(io.StringIO()))
    train = data()
    return lambda: trainer.fit(train) and None


def bare_loop() -> Callable[[], None]:
    net, train = model(), data()
    matrices, vectors = [p for p in net.parameters() if p.ndim > 1], [p for p in net.parameters() if p.ndim < 2]
    optimizer = optim.AdamW([{"params": matrices}, {"params": vectors, "weight_decay": 0.0}], lr=1e-4)

    def run() -> None:
        net.train()
        for ids, labels in make_loader(train, BATCH, shuffle=True):
            optimizer.zero_grad()
            loss = F.cross_entropy(net(ids).reshape(-1, VOCABULARY), labels.reshape(-1))
            loss.backward()
            clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()

    return run


def rows() -> Iterator[Ratio]:
    tl.set_num_threads(1)
    yield compare("Trainer.fit against the bare loop, 10 updates", with_trainer(), bare_loop(), 1 / 0.9, pairs=21)
