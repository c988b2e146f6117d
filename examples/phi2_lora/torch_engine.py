"""The recipe in PyTorch: transformers loads the model, peft holds the adapters, its Trainer trains."""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer, Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_callback import PrinterCallback

from claimsformer.training.interrupt import Interrupts
from claimsformer.transformer.hugging_face_names import FUSED, fused_note

from .checkpoint import newest
from .formatting import Example, collate, tokens
from .recipe import SAVE_EVERY, Counts, Curve, Recipe, Stopwatch, batches, show, steps

__all__ = ["TorchEngine", "choose_device", "lora_config", "training_arguments", "unmatched"]


def choose_device() -> tuple[torch.device, torch.dtype]:
    """The best device, and the type of number that Phi-2 survives on it.

    Never float16: Phi-2's attention scores exceed its range and become NaN. bfloat16 has the range, where the GPU has it;
    on MPS and CPU float32 is the safe choice.
    """
    if torch.cuda.is_available():
        return torch.device("cuda"), torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    if torch.backends.mps.is_available():
        return torch.device("mps"), torch.float32
    return torch.device("cpu"), torch.float32


def unmatched(model: torch.nn.Module, targets: Sequence[str]) -> list[str]:
    """Targets that name no linear layer; peft says nothing about them as long as one other matches."""
    ends = {name.rpartition(".")[2] for name, m in model.named_modules() if isinstance(m, torch.nn.Linear)}
    return [target for target in targets if target not in ends]


def lora_config(model: torch.nn.Module, recipe: Recipe) -> LoraConfig:
    """The recipe for peft. Phi-2's first published code had a fused `Wqkv`; today's has q_proj, k_proj and v_proj.

    Raises ValueError for a target that names no layer of the model.
    """
    targets = recipe.targets
    for old in FUSED.keys() & unmatched(model, targets):
        warnings.warn(fused_note(old), UserWarning, stacklevel=2)
        targets = tuple(dict.fromkeys(name for t in targets for name in (FUSED[old] if t == old else (t,))))
    missing = unmatched(model, targets)
    if missing:
        raise ValueError(f"LoRA targets {missing} name no linear layer of this model")
    return LoraConfig(
        task_type="CAUSAL_LM",
        r=recipe.r,
        lora_alpha=recipe.alpha,  # type: ignore[arg-type]
        lora_dropout=recipe.dropout,
        target_modules=list(targets),
        bias="none",
    )


def training_arguments(
    recipe: Recipe, folder: str, device: torch.device, every: int | None = None
) -> TrainingArguments:
    """The recipe for transformers' Trainer, which sees one long epoch: the order of examples is ours.

    It writes a checkpoint each `every` updates (None: never), and keeps the last.
    """
    return TrainingArguments(
        output_dir=folder,
        per_device_train_batch_size=recipe.batch_size,
        gradient_accumulation_steps=recipe.accumulate,
        learning_rate=recipe.lr,
        lr_scheduler_type="linear",
        weight_decay=recipe.weight_decay,
        max_grad_norm=recipe.clip,
        num_train_epochs=1,
        optim="adamw_torch",
        logging_steps=1,
        logging_nan_inf_filter=False,
        save_strategy="no" if every is None else "steps",
        save_steps=every or SAVE_EVERY,
        save_total_limit=1,
        report_to=[],
        seed=recipe.seed,
        train_sampling_strategy="sequential",
        remove_unused_columns=False,
        disable_tqdm=True,
        use_cpu=device.type == "cpu",
    )


class _Recorder(TrainerCallback):
    """Keeps the time in the Trainer's own log, which its checkpoints hold, and ends the run after an update at Ctrl-C."""

    def __init__(self, interrupts: Interrupts) -> None:
        self.interrupts = interrupts
        self.watch = Stopwatch()

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.log_history:
            self.watch = Stopwatch(*state.log_history[-1]["time"])

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self.interrupts.asked:
            control.should_save = args.save_strategy != "no"
            control.should_training_stop = True

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        if logs and "loss" in logs:
            state.log_history[-1]["time"] = self.watch.read()
            show(state.global_step, state.max_steps, logs["loss"])


class TorchEngine:
    """A causal language model of transformers from a folder, with its tokenizer."""

    name = "torch"

    def __init__(self, folder: Path) -> None:
        self.device, self.dtype = choose_device()
        self.tokenizer: Any = AutoTokenizer.from_pretrained(folder)
        self.eos_id = int(self.tokenizer.eos_token_id)
        pad = self.tokenizer.pad_token_id
        self.pad_id = self.eos_id if pad is None else int(pad)
        model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=self.dtype)
        self.model: Any = model.to(self.device)

    def new_adapters(self, recipe: Recipe) -> None:
        """Fresh adapters from peft itself."""
        torch.manual_seed(recipe.seed)
        self.model = get_peft_model(self.model, lora_config(self.model, recipe))

    def adapt(self, adapter: Path) -> None:
        self.model = PeftModel.from_pretrained(self.model, str(adapter), is_trainable=True)

    def counts(self) -> Counts:
        parameters = list(self.model.parameters())
        adapters = sum(p.numel() for n, p in self.model.named_parameters() if "lora_" in n)
        total = sum(p.numel() for p in parameters)
        return Counts(total - adapters, sum(p.numel() for p in parameters if p.requires_grad))

    def train(
        self, examples: Sequence[Example], recipe: Recipe, checkpoints: Path | None = None, every: int = SAVE_EVERY
    ) -> Curve:
        flat = [example for batch in batches(examples, recipe) for example in batch]
        interrupts = Interrupts()
        recorder = _Recorder(interrupts)
        found = None if checkpoints is None else newest(checkpoints)
        with tempfile.TemporaryDirectory() as scratch:
            saving = None if checkpoints is None else every
            trainer = Trainer(
                model=self.model,
                args=training_arguments(recipe, str(checkpoints or scratch), self.device, saving),
                train_dataset=flat,
                data_collator=self._collate,
                callbacks=[recorder],
            )
            trainer.remove_callback(PrinterCallback)
            recorder.watch = Stopwatch()
            with interrupts:
                trainer.train(resume_from_checkpoint=None if found is None else str(found))
            interrupts.raise_if_asked()
        rows = [row for row in trainer.state.log_history if "loss" in row]
        assert len(rows) == steps(examples, recipe)
        losses, norms = [float(r["loss"]) for r in rows], [float(r["grad_norm"]) for r in rows]
        return Curve(losses, norms, *recorder.watch.read(), tokens(flat))

    def _collate(self, examples: Sequence[Example]) -> dict[str, torch.Tensor]:
        return {name: torch.from_numpy(array) for name, array in collate(examples, self.pad_id).items()}

    @torch.no_grad()
    def loss(self, examples: Sequence[Example], batch_size: int = 8) -> float:
        """Mean loss of a label."""
        self.model.eval()
        total = count = 0.0
        for k in range(0, len(examples), batch_size):
            batch = {n: t.to(self.device) for n, t in self._collate(examples[k : k + batch_size]).items()}
            labels = int((batch["labels"][:, 1:] != -100).sum())
            total += float(self.model(**batch).loss) * labels
            count += labels
        return total / count

    @torch.no_grad()
    def answer(self, prompts: Sequence[str], max_new_tokens: int = 48) -> list[str]:
        """Greedy continuations, one by one."""
        self.model.eval()
        answers = []
        for text in prompts:
            ids = self.tokenizer(text, return_tensors="pt", add_special_tokens=False)["input_ids"].to(self.device)
            out = self.model.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=max_new_tokens,
                do_sample=False,
                eos_token_id=self.eos_id,
                pad_token_id=self.pad_id,
            )
            answers.append(str(self.tokenizer.decode(out[0, ids.shape[1] :], skip_special_tokens=True)))
        return answers

    def save_adapter(self, folder: Path) -> None:
        self.model.save_pretrained(str(folder))

    def merge(self) -> None:
        self.model = self.model.merge_and_unload()

    @torch.no_grad()
    def logits(self, ids: Any) -> Any:
        """Logits `(B, T, V)` of ids `(B, T)` as an array."""
        self.model.eval()
        return self.model(input_ids=torch.from_numpy(np.asarray(ids)).to(self.device)).logits.float().cpu().numpy()


os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
