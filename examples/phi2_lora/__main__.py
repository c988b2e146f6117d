"""`python -m examples.phi2_lora --model tiny|smollm2|PATH --engine torch|tensorlite|both`"""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path
from typing import Any

from .page import write_page
from .recipe import Recipe
from .run import SHOWN, answers, both, describe, run
from .table import comparison

#: The tiny model has tiny matrices and few updates: it needs a higher rate than Phi-2 (2e-4).
PRESETS = {
    "tiny": Recipe(lr=5e-3, batch_size=4, accumulate=2, epochs=5, dropout=0.0),
    "smollm2": Recipe(lr=1e-3, batch_size=4, accumulate=2, epochs=1, max_steps=12),
}


def main() -> None:
    """Fine-tune, and say what came of it."""
    options = _parser().parse_args()
    folder = _folder(options.model, options.out)
    recipe = dataclasses.replace(PRESETS.get(options.model, Recipe()), targets=_all_linear(folder))
    if options.recipe:
        values: dict[str, Any] = json.loads(options.recipe)
        if "targets" in values:
            values["targets"] = tuple(values["targets"])
        recipe = dataclasses.replace(recipe, **values)
    if options.steps is not None:
        recipe = dataclasses.replace(recipe, max_steps=options.steps)
    if options.engine == "both":
        left, right = both(folder, recipe, options.out, options.questions)
        every_update = comparison(left, right, every=1)
        (options.out / "comparison.txt").write_text(every_update + "\n", encoding="utf-8")
        print(comparison(left, right))
        page = write_page(options.out / "comparison.html", left, right, every_update, folder)
        print(f"every update: {options.out / 'comparison.txt'}\npage: {page}")
        return
    report = run(options.engine, folder, recipe, options.out, adapter=options.adapter, questions=options.questions)
    if not options.quiet:
        print(f"{report['trainable']:,} of {report['parameters']:,} parameters learn ({report['trainable'] / report['parameters']:.3%})")  # fmt: skip
        print("loss by update:", " ".join(f"{loss:.3f}" for loss in report["losses"]))
        print("before:", describe(report["before"]))
        print("after: ", describe(report["after"]), f"· merged loss {report['merged_loss']:.4f}")
        print(answers(SHOWN, report["before"]["answers"], report["after"]["answers"]))
        print(f"adapter: {options.out / 'adapter'}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m examples.phi2_lora", description=__doc__)
    parser.add_argument("--model", default="tiny", help="tiny, smollm2, or a folder with a Phi, Llama or similar model")
    parser.add_argument("--engine", default="both", choices=("torch", "tensorlite", "both"))
    parser.add_argument("--out", type=Path, default=Path("runs/phi2_lora"), help="where adapters and reports go")
    parser.add_argument("--steps", type=int, help="end after so many updates")
    parser.add_argument("--recipe", help="settings of Recipe as JSON, instead of the preset's")
    parser.add_argument("--adapter", type=Path, help="adapters in peft's format to start from")
    parser.add_argument("--questions", type=int, default=24, help="held-out questions to answer")
    parser.add_argument("--quiet", action="store_true", help="write the report only")
    return parser


def _folder(model: str, out: Path) -> Path:
    if model == "tiny":
        from .tiny import make_tiny_phi

        folder = out / "tiny-phi"
        if not (folder / "model.safetensors").exists():
            make_tiny_phi(folder)
        return folder
    if model == "smollm2":
        from claimsformer.transformer.pretrained import fetch

        return fetch("smollm2")
    return Path(model)


def _all_linear(folder: Path) -> tuple[str, ...]:
    """Every linear layer of the blocks, by the names of transformers."""
    kind = json.loads((folder / "config.json").read_text(encoding="utf-8"))["model_type"]
    if kind == "phi":
        return Recipe().targets
    return ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")  # Llama and its like


if __name__ == "__main__":
    main()
