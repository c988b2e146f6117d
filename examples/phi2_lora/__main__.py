"""Fine-tune a small Phi or Llama on questions about denied claims with LoRA, in PyTorch, in tensorlite or in both, side by side.

PyTorch's part needs torch, transformers, peft and accelerate; tensorlite's part none of them. docs/phi2_lora.md walks through it.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

from claimsformer.errors import ClaimsformerError, ConfigError
from claimsformer.transformer.hugging_face_files import read_config

from .page import write_page
from .recipe import SAVE_EVERY, Recipe
from .run import SHOWN, answers, both, describe, run
from .table import comparison

#: The tiny model has tiny matrices and few updates: it needs a higher rate than Phi-2 (2e-4).
PRESETS = {
    "tiny": Recipe(lr=5e-3, batch_size=4, accumulate=2, epochs=5, dropout=0.0),
    "smollm2": Recipe(lr=1e-3, batch_size=4, accumulate=2, epochs=1, max_steps=12),
}


_PROGRAM = "python -m examples.phi2_lora"

#: What the engine in PyTorch imports.
_TORCH = ("torch", "transformers", "peft", "accelerate")


def main() -> None:
    """Fine-tune, and say what came of it; what cannot be done is said in a sentence."""
    options = _parser().parse_args()
    try:
        if options.engine == "both" and options.adapter is not None:
            raise ConfigError("--adapter is for one engine, got --engine both, which writes first adapters for the two")
        _check_packages(options.engine)
        options.out.mkdir(parents=True, exist_ok=True)  # rather than after the training
        _run(options)
    except (ClaimsformerError, OSError) as error:
        sys.exit(f"phi2_lora: {error}")
    except subprocess.CalledProcessError as error:  # which has said why
        sys.exit(error.returncode if error.returncode > 0 else 1)
    except KeyboardInterrupt:
        if not options.of_both:  # the process that started this one says it, of the two
            words = sys.argv[1:] if options.resume else [*sys.argv[1:], "--resume"]
            print(f"\nphi2_lora: interrupted; go on with\n{_PROGRAM} {shlex.join(words)}", file=sys.stderr)
        sys.exit(130)


def _run(options: argparse.Namespace) -> None:
    folder = _folder(options.model, options.out)
    recipe = _recipe(options, folder)
    if options.engine == "both":
        left, right = both(
            folder, recipe, options.out, options.questions, resume=options.resume, every=options.save_every
        )
        every_update = comparison(left, right, every=1)
        (options.out / "comparison.txt").write_text(every_update + "\n", encoding="utf-8")
        print(comparison(left, right))
        page = write_page(options.out / "comparison.html", left, right, every_update, folder)
        print(f"every update: {options.out / 'comparison.txt'}\npage: {page}")
        return
    report = run(
        options.engine, folder, recipe, options.out, adapter=options.adapter, questions=options.questions,
        resume=options.resume, every=options.save_every,
    )  # fmt: skip
    if not options.quiet:
        print(f"{report['trainable']:,} of {report['parameters']:,} parameters learn ({report['trainable'] / report['parameters']:.3%})")  # fmt: skip
        print("loss by update:", " ".join(f"{loss:.3f}" for loss in report["losses"]))
        print("before:", describe(report["before"]))
        print("after: ", describe(report["after"]), f"· merged loss {report['merged_loss']:.4f}")
        print(answers(SHOWN, report["before"]["answers"], report["after"]["answers"]))
        print(f"adapter: {options.out / 'adapter'}")


def _check_packages(engine: str) -> None:
    missing = [name for name in _TORCH if engine != "tensorlite" and importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"--engine {engine} needs {', '.join(missing)}, not installed here",
            hint="Install them with pip, or choose --engine tensorlite, which needs none of them.",
        )


def _recipe(options: argparse.Namespace, folder: Path) -> Recipe:
    """The preset of the model, then what --recipe and --steps change."""
    values: dict[str, Any] = {"targets": _all_linear(folder)}
    if options.recipe:
        try:
            values |= json.loads(options.recipe)
        except (json.JSONDecodeError, TypeError, ValueError) as error:
            raise ConfigError(f"--recipe must be a JSON object, got {options.recipe!r}: {error}") from None
    if options.steps is not None:
        values["max_steps"] = options.steps
    try:
        return dataclasses.replace(PRESETS.get(options.model, Recipe()), **values)
    except TypeError:
        names = [field.name for field in dataclasses.fields(Recipe)]
        unknown = ", ".join(sorted(set(values) - set(names)))
        raise ConfigError(f"a recipe has no {unknown}; it has {', '.join(names)}") from None


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {value}")
    return value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=_PROGRAM, description=__doc__)
    parser.add_argument(
        "--model",
        default="tiny",
        help="tiny (made on the spot), smollm2, or a folder with a Phi, Llama or similar model; default tiny",
    )
    parser.add_argument("--engine", default="both", choices=("torch", "tensorlite", "both"), help="default both")
    parser.add_argument(
        "--out", type=Path, default=Path("runs/phi2_lora"), help="where adapters and reports go; default runs/phi2_lora"
    )
    parser.add_argument("--steps", type=_count, help="end after so many updates")
    parser.add_argument(
        "--recipe",
        help='settings that replace the model\'s own, as JSON: \'{"lr": 1e-3, "r": 4}\' (names: recipe.Recipe)',
    )
    parser.add_argument("--adapter", type=Path, help="adapters in peft's format to start from (one engine)")
    parser.add_argument("--questions", type=_count, default=24, help="held-out questions to answer; default 24")
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on with the interrupted run in --out, to the same result; without a checkpoint there, start anew",
    )
    parser.add_argument(
        "--save-every",
        type=_count,
        default=SAVE_EVERY,
        metavar="N",
        help=f"write a checkpoint each N updates; the last is kept until the run ends; default {SAVE_EVERY}",
    )
    parser.add_argument("--quiet", action="store_true", help="write the report only")
    parser.add_argument("--of-both", action="store_true", help=argparse.SUPPRESS)
    return parser


def _folder(model: str, out: Path) -> Path:
    if model == "tiny":
        from .tiny import make_tiny_phi

        folder = out / "tiny-phi"
        if not (folder / "config.json").exists():  # which is written last
            make_tiny_phi(folder)
        return folder
    if model == "smollm2":
        from claimsformer.transformer.pretrained import fetch

        return fetch("smollm2")
    if not Path(model).is_dir():
        raise ConfigError(f"--model must be tiny, smollm2 or the folder of a model, got {model!r}")
    return Path(model)


def _all_linear(folder: Path) -> tuple[str, ...]:
    """Every linear layer of the blocks, by the names of transformers."""
    kind = read_config(folder).get("model_type")
    if kind == "phi":
        return Recipe().targets
    if kind not in ("llama", "mistral", "qwen2", "gemma"):
        raise ConfigError(f"the example adapts a phi, llama, mistral, qwen2 or gemma, got {kind!r}")
    return ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")  # Llama and its like


if __name__ == "__main__":
    main()
