"""Random programs: reproducible, right on the correct library, and with a seeded bug they fail, become small and blame the right op."""

from __future__ import annotations

from collections.abc import Callable

import hypothesis
import numpy as np
import pytest
from hypothesis import given

import tensorlite as tl
from tensorlite.ops.table import OPS
from tensorlite.testing import Program, generate, random_programs, soak, st
from tensorlite.testing.mutants import blame_score, hunt, main
from tensorlite.testing.mutating import Mutant, classic_mutants, engine_mutants, rule_mutants, rules_replaced
from tensorlite.testing.plugin import describe_failure
from tensorlite.testing.source import RandomSource

assert hypothesis.__version__


def test_no_false_alarm() -> None:
    found = soak(250, seed=11)
    assert found.failures == []
    assert found.checked > 240
    assert found.inconclusive <= 3


@pytest.mark.slow
def test_no_false_alarm_in_twenty_thousand() -> None:
    assert soak(20_000, seed=1).failures == []


@given(st.programs(max_ops=5))
def test_drawn_by_hypothesis(program: Program) -> None:
    assert not program.leaves or program.check(directions=1).ok


def test_the_same_seed_gives_the_same_program() -> None:
    first, second = (generate(RandomSource(5)) for _ in range(2))
    assert str(first) == str(second)
    assert first.to_python() == second.to_python()
    assert all(any(s.op == "cumprod" for s in generate(RandomSource(k), must="cumprod").steps) for k in range(3, 6))


def test_every_sink_is_an_output_and_the_script_computes_the_same() -> None:
    program = next(p for p in random_programs(50, seed=2) if len(p.steps) > 4)
    used = {r for s in program.steps for r in s.refs()}
    assert used.isdisjoint(program.outputs())
    names: dict[str, object] = {"print": lambda *a: None}
    exec(program.to_python(), names)
    for i, g in enumerate(program.run()[1]):
        mine = names[f"x{i}"].grad  # type: ignore[attr-defined]
        assert (mine is None) == (g is None)
        if g is not None:
            assert np.allclose(mine.numpy(), g, rtol=1e-12, atol=1e-12)


def wrong(op: str) -> Callable[..., object]:
    return lambda: rules_replaced(OPS[op], x=lambda g, out: g * out * 1.5)


def test_a_wrong_rule_is_found_made_small_and_blamed(tmp_path) -> None:  # type: ignore[no-untyped-def]
    with wrong("exp")():  # type: ignore[attr-defined]
        number, program = next(
            (k, p)
            for k, p in enumerate(random_programs(100, seed=0, must="exp"))
            if not p.check().ok and len(p.steps) > 3
        )
        assert program.blame().op == "exp"
        small = program.reduce(lambda p: p.check().verdict == "fail")
        assert [s.op for s in small.steps] == ["exp"]
        text = describe_failure(program, program.check(), 0, number, {"must": "exp"}, tmp_path)
    assert "exp" in text
    assert "random_programs" in text
    assert {".py", ".dot", ".json"} <= {p.suffix for p in tmp_path.iterdir()}
    assert "#cf222e" in next(tmp_path.glob("*.dot")).read_text()


def test_the_engine_is_blamed_for_what_no_op_does() -> None:
    bugs = [m for m in engine_mutants() if "counts once" in m.name]
    lines, right, total, small = blame_score(3, bugs)
    assert (right, total) == (3, 3), lines
    assert small == 3


@pytest.mark.parametrize("mutant", classic_mutants() + engine_mutants(), ids=lambda m: m.name)
def test_classic_bugs_are_found(mutant: Mutant) -> None:
    assert hunt(mutant).layer not in ("survived", "no effect")


def test_seeded_bugs_are_taken_out_again() -> None:
    x = tl.tensor([0.5], dtype=tl.float64, requires_grad=True)
    for mutant in [*rule_mutants(OPS["exp"]), *engine_mutants()]:
        with mutant.install():
            pass
        x.grad = None
        (x.exp() + x).sum().backward()
        assert x.grad is not None
        assert np.allclose(x.grad.numpy(), np.exp(0.5) + 1)


def test_the_study_of_one_op(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--op", "tanh"]) == 0
    output = capsys.readouterr().out
    assert "survived" in output
    assert "in a rule, by that op's own check within 30 examples" in output


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--op", "tanhh"], "did you mean 'tanh'"),
        (["--op", "argmax"], "no gradient"),
        (["--op", "tanh", "--kind", "unbroadcast"], "no bug of this kind"),
        (["--seeds", "0"], "at least 1"),
        (["--blame", "--op", "tanh"], "without --op"),
    ],
)
def test_the_study_refuses_what_it_cannot_do(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(arguments)
    assert says in capsys.readouterr().err
