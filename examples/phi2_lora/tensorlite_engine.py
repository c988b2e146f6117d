"""The recipe in tensorlite: claimsformer's transformer, LoRA and Trainer, reading and writing the same folders. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import tensorlite as tl
from claimsformer.errors import ConfigError
from claimsformer.tokenizer.text import TextTokenizer
from claimsformer.training import Callback, CrossEntropy, Trainer, count_parameters
from claimsformer.training.hugging_face import load_peft_adapter, lora_config, save_peft_adapter
from claimsformer.training.lora import LoraConfig, inject, merge_and_unload
from claimsformer.transformer import from_hugging_face, generate
from claimsformer.transformer.hugging_face_files import read_config
from tensorlite import nn, optim
from tensorlite.utils.data import DataLoader

from .formatting import IGNORED, Example, collate, tokens
from .recipe import SAVE_EVERY, Counts, Curve, Recipe, Stopwatch, batches, show, steps

__all__ = ["TensorliteEngine"]


def logits_at_labels(model: Any, batch: Mapping[str, Any]) -> tuple[Any, Any]:
    """Logits `(N, V)` where a label follows, and these labels `(N,)`.

    The vocabulary is the largest product of all, and prompt tokens need none of it.
    """
    labels = batch["labels"].numpy()[:, 1:]
    hidden = model.decode(batch["input_ids"], attention_mask=batch["attention_mask"])  # (B, T, D)
    rows, columns = np.nonzero(labels != IGNORED)
    chosen = hidden[tl.from_numpy(rows), tl.from_numpy(columns)]  # (N, D)
    return model.logits(chosen), tl.from_numpy(labels[rows, columns])


class _Recorder(Callback):
    def __init__(self, updates: int) -> None:
        self.updates = updates
        self.losses: list[float] = []
        self.grad_norms: list[float] = []
        self.watch = Stopwatch()

    def on_step_end(self, trainer: Trainer, numbers: Mapping[str, float]) -> None:
        self.losses.append(float(numbers["loss"]))
        self.grad_norms.append(float(numbers["grad_norm"]))
        show(len(self.losses), self.updates, self.losses[-1])

    def state_dict(self) -> dict[str, Any]:
        return {"losses": self.losses, "grad_norms": self.grad_norms, "seconds": self.watch.read()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.losses, self.grad_norms = list(state["losses"]), list(state["grad_norms"])
        self.watch = Stopwatch(*state["seconds"])


class _Learning(nn.Module):
    """The model, of which checkpoints hold what learns: the frozen weights lie in their own file, gigabytes of them."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def state_dict(self, *args: Any, **options: Any) -> dict[str, Any]:
        names = {name for name, parameter in self.named_parameters() if parameter.requires_grad}
        return {n: value for n, value in super().state_dict(*args, **options).items() if n in names}

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = False, assign: bool = False) -> Any:
        return super().load_state_dict(state_dict, strict=False, assign=assign)


def _forward(learning: _Learning, batch: Mapping[str, Any]) -> tuple[Any, Any]:
    return logits_at_labels(learning.model, batch)


class TensorliteEngine:
    """A causal language model of a Hugging Face folder in claimsformer's transformer, with its tokenizer."""

    name = "tensorlite"

    def __init__(self, folder: Path) -> None:
        self.kind = str(read_config(folder).get("model_type"))
        self.tokenizer: Any = TextTokenizer.from_pretrained(folder)
        self.model: Any = from_hugging_face(folder)
        eos = self.tokenizer.eos_token_id
        if eos is None:
            raise ConfigError(f"the tokenizer in {folder} names no end of text, so a model could not learn to stop")
        self.eos_id = int(eos)
        pad = self.tokenizer.pad_token_id
        self.pad_id = self.eos_id if pad is None else int(pad)
        self.config: LoraConfig | None = None

    def new_adapters(self, recipe: Recipe) -> None:
        """Fresh adapters."""
        self.config = lora_config(recipe.targets, self.kind, r=recipe.r, alpha=recipe.alpha, dropout=recipe.dropout)
        inject(self.model, self.config, seed=recipe.seed)

    def adapt(self, adapter: Path) -> None:
        self.config = load_peft_adapter(self.model, adapter, self.kind)

    def counts(self) -> Counts:
        count = count_parameters(self.model)
        adapters = sum(p.numel() for n, p in self.model.named_parameters() if "lora_" in n)
        return Counts(count.total - adapters, count.trainable)

    def train(
        self, examples: Sequence[Example], recipe: Recipe, checkpoints: Path | None = None, every: int = SAVE_EVERY
    ) -> Curve:
        order = batches(examples, recipe)
        flat = [example for batch in order for example in batch]
        parameters = [p for p in self.model.parameters() if p.requires_grad]
        recorder = _Recorder(steps(examples, recipe))
        trainer = Trainer(
            _Learning(self.model),
            CrossEntropy(),
            optim.AdamW(parameters, lr=recipe.lr, weight_decay=recipe.weight_decay),
            schedule="linear",
            clip=recipe.clip,
            accumulate=recipe.accumulate,
            forward=_forward,
            callbacks=[recorder],
            checkpoint_every=every,
            name=None if checkpoints is None else checkpoints.name,
            root="." if checkpoints is None else checkpoints.parent,
            seed=recipe.seed,
            progress=False,
        )
        loader = DataLoader(flat, batch_size=recipe.batch_size, shuffle=False, collate_fn=self._collate)
        recorder.watch = Stopwatch()
        trainer.fit(loader, max_steps=recorder.updates, resume=None if checkpoints is None else "auto")
        return Curve(recorder.losses, recorder.grad_norms, *recorder.watch.read(), tokens(flat))

    def _collate(self, examples: Sequence[Example]) -> dict[str, Any]:
        return {name: tl.from_numpy(array) for name, array in collate(examples, self.pad_id).items()}

    def loss(self, examples: Sequence[Example], batch_size: int = 8) -> float:
        """Mean loss of a label."""
        trainer = Trainer(self.model, CrossEntropy(), forward=logits_at_labels, progress=False)
        loader = DataLoader(list(examples), batch_size=batch_size, collate_fn=self._collate)
        return trainer.evaluate(loader)["loss"]

    def answer(self, prompts: Sequence[str], max_new_tokens: int = 48) -> list[str]:
        """Greedy continuations, one by one."""
        answers = []
        for text in prompts:
            ids = self.tokenizer.encode(text, add_special_tokens=False)
            new = generate(
                self.model, [ids], max_new_tokens=max_new_tokens, eos_id=self.eos_id, pad_id=self.pad_id
            ).sequences()[0]
            answers.append(self.tokenizer.decode(new.tolist(), skip_special_tokens=True))
        return answers

    def save_adapter(self, folder: Path) -> None:
        assert self.config is not None, "there are no adapters: call adapt or new_adapters"
        save_peft_adapter(self.model, self.config, folder, self.kind)

    def merge(self) -> None:
        merge_and_unload(self.model)

    def logits(self, ids: Any) -> Any:
        """Logits `(B, T, V)` of ids `(B, T)` as an array."""
        self.model.eval()
        with tl.no_grad():
            return self.model(np.asarray(ids)).numpy()
