"""How good are the checks? Seed bugs into the op table and the engine, and see which layer finds each, after how many examples.

    python -m tensorlite.testing.mutants                 # all of them
    python -m tensorlite.testing.mutants --op matmul     # those of one op
    python -m tensorlite.testing.mutants --blame         # whether the right op is blamed, and how small failures become

Layers: the op's own check (`check_op`: value, invariants, float32, tie, convention, second order), then whole random programs that contain
the op. A mutant that changes no gradient at any of the points tried is reported as without effect.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..ops.table import OPS
from .backends import TENSORLITE
from .invariants import assert_grad_invariants, find_failure, function_of
from .mutating import KINDS, Mutant, all_mutants, rule_mutants
from .programs import Program, generate
from .source import RandomSource
from .specs import all_specs, spec_of

OWN = 30  # examples of an op's own check


@dataclass(frozen=True)
class Kill:
    """Which layer noticed a mutant, and at which example; layer "survived" and "no effect" are what they say."""

    mutant: Mutant
    layer: str
    examples: int

    @property
    def by_own_check(self) -> bool:
        return self.layer not in ("programs", "survived", "no effect")


def hunt(mutant: Mutant, seed: int = 0, own: int = OWN, programs: int = 120) -> Kill:
    """Install the mutant, run the layers in order, and say which one noticed."""
    if mutant.op != "(engine)":
        with np.errstate(all="ignore"), mutant.install():
            failure = find_failure(spec_of(mutant.op), own, seed)
        if failure is not None:
            return Kill(mutant, failure.layer, failure.example)
        if not _has_effect(mutant, seed):
            return Kill(mutant, "no effect", 0)
    must = None if mutant.op == "(engine)" or spec_of(mutant.op).call is not None else mutant.op
    if must is not None and not spec_of(mutant.op).program:
        return Kill(mutant, "survived", own)
    grown = [generate(RandomSource((seed, k)), must=must) for k in range(min(programs, 40))]
    with np.errstate(all="ignore"), mutant.install():
        for k in range(programs):
            program = grown[k] if k < len(grown) else generate(RandomSource((seed, k)), must=must)
            layer = _program_fails(program)
            if layer:
                return Kill(mutant, layer, k + 1)
    return Kill(mutant, "survived", own + programs)


def _program_fails(program: Program) -> str:
    if not program.leaves:
        return ""
    try:
        if not program.check(directions=1).ok:
            return "programs"
        assert_grad_invariants(program.function(), program.leaves)
    except AssertionError:
        return "programs + invariants"
    except (RuntimeError, ValueError, TypeError, IndexError):
        return "programs"
    return ""


def _gradients(spec: Any, seed: int, examples: int) -> list[Any]:
    found: list[Any] = []
    for k in range(examples):
        arguments = spec.arguments(RandomSource((seed, k), "coarse" if k % 3 == 2 else "grid"))
        f, leaves = function_of(spec, arguments)
        try:
            outputs = [o for o in TENSORLITE.run(f, leaves) if TENSORLITE.needs_grad(o)]
            rng = np.random.default_rng(k)
            v = [TENSORLITE.leaf(np.asarray(rng.standard_normal(o._data.shape)), False) for o in outputs]
            grads = TENSORLITE.gradients(outputs, leaves, v) if outputs else []
        except (RuntimeError, ValueError, TypeError, IndexError) as error:
            found.append(repr(error))
            continue
        found += [None if g is None else (g._data + 0.0).tobytes() for g in grads] + [c._data.tobytes() for c in v]
    return found


def _has_effect(mutant: Mutant, seed: int, examples: int = OWN) -> bool:
    """Whether any gradient, or any cotangent after the backward, is another with the mutant."""
    spec = spec_of(mutant.op)
    with np.errstate(all="ignore"):
        right = _gradients(spec, seed, examples)
        with mutant.install():
            return _gradients(spec, seed, examples) != right


def report(kills: Sequence[Kill], seconds: float) -> str:
    """The table of all kills, and what they add up to."""
    lines = [f"{'mutant':<58} {'noticed by':<22} examples"]
    shown = [k for k in kills if k.mutant.classic or k.mutant.op == "(engine)" or k.layer in ("survived", "programs")]
    lines += [f"{k.mutant.name:<58.58} {k.layer:<22} {k.examples or ''}" for k in shown]
    lines += ["", *summary(kills), f"{seconds:.0f} s"]
    return "\n".join(lines)


def summary(kills: Sequence[Kill]) -> list[str]:
    """Counts by kind and by layer."""
    lines = [f"{'kind':<16} mutants  noticed  no effect  survived  median examples"]
    kinds: dict[str, list[Kill]] = defaultdict(list)
    for k in kills:
        kinds[k.mutant.kind if k.mutant.op != "(engine)" else "engine"].append(k)
    for kind, group in kinds.items():
        caught = [k for k in group if k.layer not in ("survived", "no effect")]
        median = f"{statistics.median(k.examples for k in caught):g}" if caught else ""
        none, survived = (sum(k.layer == x for k in group) for x in ("no effect", "survived"))
        lines.append(f"{kind:<16} {len(group):>7}  {len(caught):>7}  {none:>9}  {survived:>8}  {median}")
    real = [k for k in kills if k.layer != "no effect"]
    caught = [k for k in real if k.layer != "survived"]
    rules = [k for k in real if k.mutant.op != "(engine)"]
    own = [k for k in rules if k.by_own_check and k.examples <= OWN]
    layers = Counter(k.layer for k in caught)
    lines += [
        "",
        f"noticed: {len(caught)} of {len(real)} that have an effect; {len(kills) - len(real)} have none",
        f"in a rule, by that op's own check within {OWN} examples: {len(own)} of {len(rules)} ({100 * len(own) / max(len(rules), 1):.1f} %)",
        "by layer: " + ", ".join(f"{name} {n}" for name, n in layers.most_common()),
    ]
    return lines


# -- blame ------------------------------------------------------------------------------------------------------------


def failing_programs(mutant: Mutant, count: int, seed: int = 0, tries: int = 400) -> Iterator[Program]:
    """Programs, not made smaller, that fail with the mutant installed (which the caller has done)."""
    must = None if mutant.op == "(engine)" else mutant.op
    for k in range(tries):
        program = generate(RandomSource((seed, k)), must=must)
        if count and program.leaves and not program.check(directions=1).ok:
            count -= 1
            yield program


def blame_score(
    per_mutant: int = 5, mutants: Sequence[Mutant] | None = None, seed: int = 0
) -> tuple[list[str], int, int, int]:
    """(a line for each mutant, right blames, all failures, failures that became at most 3 ops)."""
    lines: list[str] = []
    right = total = small = 0
    for mutant in mutants if mutants is not None else blame_mutants():
        with np.errstate(all="ignore"), mutant.install():
            found: Counter[str] = Counter()
            sizes: list[int] = []
            for program in failing_programs(mutant, per_mutant, seed):
                found[program.blame().op] += 1
                reduced = program.reduce(lambda p: p.check(directions=1).verdict == "fail")
                sizes.append(len(reduced.steps))
        total += sum(found.values())
        right += found[mutant.op]
        small += sum(n <= 3 for n in sizes)
        lines.append(f"{mutant.name:<58.58} blamed: {dict(found)}, ops after reducing: {sizes}")
    return lines, right, total, small


def blame_mutants() -> list[Mutant]:
    """Twelve bugs: ten in rules, two in the engine."""
    chosen = [m for m in all_mutants(("sign", "factor")) if m.classic]
    engine = [m for m in chosen if m.op == "(engine)" and m.kind not in ("dtype", "order")]
    rules = [m for m in chosen if m.op != "(engine)" and m.kind != "in-place" and m.op not in ("relu", "amax")]
    return rules[: 12 - len(engine)] + engine


def _op(name: str) -> str:
    try:
        return spec_of(name).name
    except LookupError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _at_least(low: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        value = int(text)
        if value < low:
            raise argparse.ArgumentTypeError(f"expected at least {low}, got {value}")
        return value

    return number


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the study; the exit status is 1 if a mutant survived."""
    parser = argparse.ArgumentParser(
        prog="python -m tensorlite.testing.mutants",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--op", action="append", type=_op, help="only the mutants of this op (may be given several times)"
    )
    parser.add_argument("--kind", action="append", choices=KINDS, help="only this kind of bug")
    parser.add_argument("--seed", type=_at_least(0), default=0, help="first seed of the random inputs")
    parser.add_argument(
        "--seeds", type=_at_least(1), default=1, help="how many seeds; the median number of examples counts"
    )
    parser.add_argument("--blame", action="store_true", help="measure whether the right op is blamed")
    options = parser.parse_args(arguments)
    start = time.perf_counter()
    if options.blame and (options.op or options.kind):
        parser.error("--blame measures a choice of twelve bugs; it goes without --op and --kind")
    if options.blame:
        lines, right, total, small = blame_score(seed=options.seed)
        print("\n".join(lines))
        print(
            f"blamed rightly: {right} of {total}; at most 3 ops after reducing: {small} of {total}; {time.perf_counter() - start:.0f} s"
        )
        return int(right < total)
    all_specs()
    kinds = tuple(options.kind or KINDS)
    mutants = (
        [m for op in dict.fromkeys(options.op) for m in rule_mutants(OPS[op], kinds)]
        if options.op
        else all_mutants(kinds)
    )
    if not mutants:
        parser.error("there is no bug of this kind in a rule of this op")
    kills = [median_kill(m, options.seed, options.seeds) for m in mutants]
    print(report(kills, time.perf_counter() - start))
    return int(any(k.layer == "survived" for k in kills))


def median_kill(mutant: Mutant, seed: int, seeds: int) -> Kill:
    """The kill with the median number of examples over several seeds."""
    found = sorted(
        (hunt(mutant, seed + i) for i in range(seeds)),
        key=lambda k: (k.layer == "survived", not k.by_own_check, k.examples),
    )
    return found[len(found) // 2]


if __name__ == "__main__":
    sys.exit(main())
