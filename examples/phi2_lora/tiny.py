"""A tiny Phi, made and pretrained in seconds, for everybody who has no weights at hand.

LoRA on random weights learns next to nothing: there is nothing to adapt. So the model first reads a corpus of short
statements about claims, and the general prompts of `pairs.GENERAL`, in full training. It never sees an instruction.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import tensorlite as tl
from claimsformer.tokenizer.base import SpecialTokens
from claimsformer.tokenizer.text import TextTokenizer
from claimsformer.training import Callback, CrossEntropy, Trainer
from claimsformer.transformer import Transformer
from claimsformer.transformer.hugging_face import config_from_hugging_face
from claimsformer.transformer.hugging_face_names import save_hugging_face
from tensorlite.utils.data import DataLoader

from .denials import DENIALS
from .pairs import GENERAL

__all__ = ["make_tiny_phi", "sentences"]

END = "<|endoftext|>"
_GROUP = {"CO": "contractual obligation", "PR": "patient responsibility", "OA": "other adjustment"}


def sentences(seed: int = 0, n: int = 1500) -> list[str]:
    """Statements about claims in several wordings, and the general ones, in a random order."""
    rng = np.random.default_rng(seed)
    wordings = (
        "Code {code} means that {meaning}.",
        "The reason {code} was given: {meaning}. The group is {group}, {group_name}.",
        "When {meaning}, {action}.",
        "Denied with {group}-{code}: {meaning}. Next step: {action}.",
        "The group code is {group} and the reason is {code}.",
    )
    texts = []
    for _ in range(n):
        if rng.random() < 0.1:
            start, end = GENERAL[rng.integers(len(GENERAL))]
            texts.append(f"{start}{end}.")
            continue
        d = DENIALS[rng.integers(len(DENIALS))]
        texts.append(wordings[rng.integers(len(wordings))].format(**d._asdict(), group_name=_GROUP[d.group]))
    return texts


def phi_config(vocab_size: int, eos_id: int) -> dict[str, Any]:
    """`config.json` of a Phi of some 340,000 parameters with Phi-2's proportions: rotary on 40 % of each head, biases everywhere."""
    return {
        "model_type": "phi",
        "architectures": ["PhiForCausalLM"],
        "vocab_size": vocab_size,
        "hidden_size": 80,
        "intermediate_size": 320,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "max_position_embeddings": 512,
        "hidden_act": "gelu_new",
        "layer_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "partial_rotary_factor": 0.4,
        "resid_pdrop": 0.0,
        "embd_pdrop": 0.0,
        "attention_dropout": 0.0,
        "qk_layernorm": False,
        "tie_word_embeddings": False,
        "bos_token_id": eos_id,
        "eos_token_id": eos_id,
    }


def make_tiny_phi(folder: Path, *, updates: int = 300, seed: int = 0) -> list[float]:
    """Write tokenizer, configuration and pretrained weights as a Hugging Face folder; returns the loss of each update."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = sentences(seed)
    special = SpecialTokens(pad=None, cls=None, sep=None, mask=None, bos=END, eos=END, unk=None)
    extra = ["### Instruction: What should I do first, and who pays?\n### Response:"] * 2
    tokenizer = TextTokenizer.train([*texts, *extra], 512, medical=False, special=special)
    tokenizer.save_huggingface(folder)
    roles = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": END, "eos_token": END, "model_max_length": 512}
    (folder / "tokenizer_config.json").write_text(json.dumps(roles, indent=2) + "\n", encoding="utf-8")
    assert tokenizer.eos_token_id is not None
    config = phi_config(len(tokenizer), tokenizer.eos_token_id)
    model = Transformer(config_from_hugging_face(config), seed=seed)
    losses = _pretrain(model, texts, tokenizer, tokenizer.eos_token_id, updates, seed)
    save_hugging_face(model, config, folder)
    return losses


def _pretrain(
    model: Transformer, texts: list[str], tokenizer: TextTokenizer, eos_id: int, updates: int, seed: int
) -> list[float]:
    """Next-token training on windows of the texts joined end to end."""
    stream = np.concatenate([np.append(ids, eos_id) for ids in tokenizer.encode_batch(texts)])
    rng, length, size = np.random.default_rng(seed), 48, 16
    starts = rng.integers(0, len(stream) - length - 1, (updates, size))
    windows = stream[starts[..., None] + np.arange(length + 1)].reshape(-1, length + 1)
    recorder = LossRecorder()
    trainer = Trainer(
        model,
        CrossEntropy(),
        lr=3e-3,
        schedule="cosine",
        warmup=20,
        batch_size=size,
        callbacks=[recorder],
        seed=seed,
        progress=False,
    )
    trainer.fit(DataLoader(windows, batch_size=size, shuffle=False, collate_fn=_columns), max_steps=updates)
    return recorder.losses


def _columns(rows: list[Any]) -> tuple[Any, Any]:
    batch = np.stack(rows)
    return tl.from_numpy(batch[:, :-1].copy()), tl.from_numpy(batch[:, 1:].copy())


class LossRecorder(Callback):
    """The loss of each update."""

    def __init__(self) -> None:
        self.losses: list[float] = []

    def on_step_end(self, trainer: Trainer, numbers: Mapping[str, float]) -> None:
        self.losses.append(numbers["loss"])
