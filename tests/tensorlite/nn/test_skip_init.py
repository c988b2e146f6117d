"""Modules whose first values are not drawn."""

from __future__ import annotations

import threading
from typing import Any

import tensorlite as tl
from tensorlite import nn


class Net(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.a = nn.Linear(width, width)
        self.b = nn.Embedding(5, width)
        nn.init.trunc_normal_(self.a.weight)
        nn.init.xavier_uniform_(self.a.weight)


def test_nothing_is_drawn_and_shapes_are_right() -> None:
    tl.manual_seed(3)
    state = tl.get_rng_state().numpy().tobytes()
    net = nn.utils.skip_init(Net, 7)
    assert tl.get_rng_state().numpy().tobytes() == state
    assert {n: tuple(p.shape) for n, p in net.named_parameters()} == {"a.weight": (7, 7), "a.bias": (7,), "b.weight": (5, 7)}  # fmt: skip
    nn.Linear(3, 3)
    assert tl.get_rng_state().numpy().tobytes() != state


def test_other_threads_draw_as_ever() -> None:
    inside, done = threading.Event(), threading.Event()
    found: list[Any] = []

    class Waits(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            inside.set()
            done.wait(10)

    def elsewhere() -> None:
        inside.wait(10)
        found.append(nn.init.uniform_(tl.zeros(100), 1.0, 2.0))
        done.set()

    thread = threading.Thread(target=elsewhere)
    thread.start()
    nn.utils.skip_init(Waits)
    thread.join()
    assert (found[0].numpy() >= 1).all()
