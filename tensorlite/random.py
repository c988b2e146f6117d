"""Random numbers: a `Generator` with torch's interface over NumPy's PCG64, and the default one that everything uses unless told otherwise.

The streams are not torch's: the same seed gives other numbers than torch gives. The same seed gives the same numbers here, always.
"""

from __future__ import annotations

from typing import Any

import numpy as np


class Generator:
    """A source of random numbers with a state that can be read, stored and restored."""

    def __init__(self, device: Any = "cpu") -> None:
        if str(device).partition(":")[0] != "cpu":
            raise RuntimeError(f"tensorlite computes on the CPU only: expected device 'cpu', got {str(device)!r}")
        self._seed = 0
        self._numpy: np.random.Generator | None = (
            None  # made when first used: numpy.random takes longer to load than all of tensorlite
        )

    @property
    def numpy(self) -> np.random.Generator:
        """The NumPy generator behind this one."""
        if self._numpy is None:
            self._numpy = np.random.Generator(np.random.PCG64(self._seed))
        return self._numpy

    @property
    def device(self) -> str:
        return "cpu"

    def manual_seed(self, seed: int) -> Generator:
        """Start the stream that belongs to `seed`; negative seeds count from the end of the 64-bit range, as in torch."""
        seed = int(seed)
        if not -(2**63) <= seed < 2**64:
            raise RuntimeError(f"Overflow when unpacking long: a seed is a 64-bit integer, got {seed}")
        self._seed = seed % 2**64
        self._numpy = None
        return self

    def seed(self) -> int:
        """Start a stream from a seed taken from the operating system; returns the seed."""
        import secrets

        self.manual_seed(secrets.randbits(63))
        return self._seed

    def initial_seed(self) -> int:
        """The seed of the present stream."""
        return self._seed

    def state_bytes(self) -> Any:
        """The state as an array of bytes; `get_state`, which the tensor layer adds, gives it as a tensor."""
        import json

        text = json.dumps({"seed": self._seed, "state": self.numpy.bit_generator.state})
        return np.frombuffer(text.encode(), np.uint8).copy()

    def set_state(self, state: Any) -> Generator:
        """Go on from a state that `get_state` returned. Raises RuntimeError for anything else."""
        import json

        try:
            saved = json.loads(bytes(getattr(state, "_data", state)).decode())
            self.numpy.bit_generator.state = saved["state"]
            self._seed = saved["seed"]
        except (ValueError, KeyError, TypeError, UnicodeDecodeError) as error:
            raise RuntimeError(
                f"expected a random state made by get_state(), got something else ({type(error).__name__})"
            ) from None
        return self

    def clone_state(self) -> Generator:
        """Another generator in the same state."""
        return Generator().set_state(self.state_bytes())

    def __repr__(self) -> str:
        return f"<tensorlite.Generator seed={self._seed}>"

    def __getstate__(self) -> dict[str, Any]:
        return {"state": self.state_bytes()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__()  # type: ignore[misc]
        self.set_state(state["state"])


default_generator = Generator()


def source(generator: Generator | None = None) -> np.random.Generator:
    """The NumPy generator to draw from."""
    return (generator or default_generator).numpy


def manual_seed(seed: int) -> Generator:
    """Seed the default generator; returns it."""
    return default_generator.manual_seed(seed)


def seed() -> int:
    """Seed the default generator from the operating system; returns the seed."""
    return default_generator.seed()


def initial_seed() -> int:
    """The seed of the default generator."""
    return default_generator.initial_seed()


def set_rng_state(new_state: Any) -> None:
    """Put the default generator into a state that `get_rng_state` returned."""
    default_generator.set_state(new_state)


class fork_rng:
    """Within the block, the default generator may be used freely: its state is restored afterwards."""

    def __init__(self, devices: Any = (), enabled: bool = True) -> None:
        self._enabled = enabled

    def __enter__(self) -> None:
        self._state = default_generator.state_bytes()

    def __exit__(self, *exc: object) -> None:
        if self._enabled:
            set_rng_state(self._state)
