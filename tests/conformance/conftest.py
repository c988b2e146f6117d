"""At the end of a run: how many ops and samples of torch's database were compared, in all processes together."""

from __future__ import annotations

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [r for kind in ("passed", "failed") for r in terminalreporter.stats.get(kind, [])]
    found = [v for r in reports if r.when == "call" for k, v in r.user_properties if k == "opinfo"]
    if found:
        passed, total = sum(v[1] for v in found), sum(v[2] for v in found)
        names = {v[0] for v in found if v[2]}
        terminalreporter.write_line(
            f"torch's op database: {len(names)} ops, {passed} of {total} float64 samples pass ({100 * passed / max(total, 1):.2f} %)"
        )
