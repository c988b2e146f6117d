"""Which modules of tensorlite answer for which module of torch, and the module objects that stand in sys.modules."""

from __future__ import annotations

import functools
import importlib
import importlib.abc
import importlib.machinery
import types
from collections.abc import Iterator, Sequence
from typing import Any

from ..tensor import Tensor
from .missing import is_special, placeholder
from .report import Report

_S = "tensorlite.compat.shims."

#: torch module -> where its names are looked up, first match first.
MODULES: dict[str, tuple[str, ...]] = {
    "torch": (_S + "top", "tensorlite"),
    "torch.amp": (_S + "amp",),
    "torch.amp.autocast_mode": (_S + "amp",),
    "torch.amp.grad_scaler": (_S + "amp",),
    "torch.autograd": (_S + "autograd", "tensorlite.autograd"),
    "torch.autograd.function": (_S + "autograd", "tensorlite.autograd.function"),
    "torch.autograd.functional": ("tensorlite.autograd.functional",),
    "torch.autograd.graph": ("tensorlite.autograd.graph",),
    "torch.autograd.gradcheck": ("tensorlite.autograd.checking",),
    "torch.autograd.variable": (_S + "autograd",),
    "torch.backends": (_S + "backends.any",),
    "torch.backends.cpu": (_S + "backends.any",),
    "torch.backends.cuda": (_S + "backends.cuda",),
    "torch.backends.cudnn": (_S + "backends.cudnn",),
    "torch.backends.mkl": (_S + "backends.any",),
    "torch.backends.mkldnn": (_S + "backends.any",),
    "torch.backends.mps": (_S + "backends.any",),
    "torch.backends.openmp": (_S + "backends.any",),
    "torch.compiler": (_S + "compiler",),
    "torch.cpu": (),
    "torch.cpu.amp": (_S + "amp",),
    "torch.cuda": ("tensorlite.cuda",),
    "torch.cuda.amp": (_S + "amp",),
    "torch.cuda.amp.autocast_mode": (_S + "amp",),
    "torch.cuda.amp.grad_scaler": (_S + "amp",),
    "torch.distributed": (_S + "distributed",),
    "torch.distributions": ("tensorlite.distributions",),
    "torch.distributions.bernoulli": ("tensorlite.distributions",),
    "torch.distributions.categorical": ("tensorlite.distributions",),
    "torch.distributions.distribution": ("tensorlite.distributions",),
    "torch.distributions.kl": ("tensorlite.distributions",),
    "torch.distributions.normal": ("tensorlite.distributions",),
    "torch.func": ("tensorlite.func",),
    "torch.jit": (_S + "compiler",),
    "torch.linalg": ("tensorlite.linalg",),
    "torch.mps": ("tensorlite.cuda",),
    "torch.multiprocessing": ("multiprocessing",),
    "torch.nn": ("tensorlite.nn",),
    "torch.nn.attention": (_S + "attention",),
    "torch.nn.functional": ("tensorlite.nn.functional",),
    "torch.nn.init": ("tensorlite.nn.init",),
    "torch.nn.modules": ("tensorlite.nn",),
    "torch.nn.modules.activation": ("tensorlite.nn",),
    "torch.nn.modules.batchnorm": ("tensorlite.nn",),
    "torch.nn.modules.container": ("tensorlite.nn",),
    "torch.nn.modules.conv": ("tensorlite.nn",),
    "torch.nn.modules.dropout": ("tensorlite.nn",),
    "torch.nn.modules.linear": ("tensorlite.nn",),
    "torch.nn.modules.loss": ("tensorlite.nn",),
    "torch.nn.modules.module": ("tensorlite.nn",),
    "torch.nn.modules.normalization": ("tensorlite.nn",),
    "torch.nn.modules.pooling": ("tensorlite.nn",),
    "torch.nn.modules.rnn": ("tensorlite.nn",),
    "torch.nn.modules.sparse": ("tensorlite.nn",),
    "torch.nn.modules.utils": (_S + "tuples",),
    "torch.nn.parameter": ("tensorlite.nn.parameter",),
    "torch.nn.utils": ("tensorlite.nn.utils",),
    "torch.nn.utils.clip_grad": ("tensorlite.nn.utils",),
    "torch.nn.utils.rnn": ("tensorlite.nn.utils.rnn",),
    "torch.optim": ("tensorlite.optim",),
    "torch.optim.adam": ("tensorlite.optim",),
    "torch.optim.adamw": ("tensorlite.optim",),
    "torch.optim.lr_scheduler": ("tensorlite.optim.lr_scheduler",),
    "torch.optim.optimizer": ("tensorlite.optim.optimizer",),
    "torch.optim.sgd": ("tensorlite.optim",),
    "torch.optim.swa_utils": ("tensorlite.optim.swa_utils",),
    "torch.random": ("tensorlite.random", "tensorlite"),
    "torch.serialization": ("tensorlite.utils.checkpoints",),
    "torch.sparse": ("tensorlite.sparse",),
    "torch.special": ("tensorlite.special",),
    "torch.testing": (_S + "testing",),
    "torch.torch_version": (_S + "version",),
    "torch.types": (_S + "types",),
    "torch.utils": (),
    "torch.utils._pytree": (_S + "pytree",),
    "torch.utils.checkpoint": ("tensorlite.utils.checkpoint",),
    "torch.utils.data": ("tensorlite.utils.data",),
    "torch.utils.data.dataloader": ("tensorlite.utils.data",),
    "torch.utils.data.dataset": ("tensorlite.utils.data",),
    "torch.utils.data.sampler": ("tensorlite.utils.data",),
    "torch.version": (_S + "version",),
    "torch.xpu": ("tensorlite.cuda",),
    "torch._dynamo": (_S + "compiler",),
}
#: Top-level packages that resolve to tensorlite, or to placeholders alone.
PACKAGES = ("torch", "torchvision", "torchaudio")


def resolve(module: str, name: str) -> Any:
    """What tensorlite has under a torch name. Raises AttributeError where it has nothing; its own modules are not torch's."""
    for source in MODULES.get(module, ()):
        target = importlib.import_module(source)
        if name in (target._SUBPACKAGES if source == "tensorlite" else ()) or (
            source.startswith(_S) and name not in target.__all__
        ):
            continue
        value = getattr(target, name, target)
        if not isinstance(value, types.ModuleType):
            return value
    if module == "torch" and name.endswith("_") and not name.startswith("_") and hasattr(Tensor, name):
        return getattr(Tensor, name)  # torch.relu_(x) is x.relu_()
    raise AttributeError(f"module '{module}' has no attribute '{name}'")


def stands_in(name: str) -> bool:
    """Whether there is a stand-in for `torch.NAME` here, which is no part of tensorlite itself."""
    if f"torch.{name}" in MODULES:
        return True
    return name in importlib.import_module(_S + "top").__all__


@functools.cache
def names_of(module: str) -> tuple[str, ...]:
    """The public names of a torch module that tensorlite has."""
    found: set[str] = set()
    for source in MODULES.get(module, ()):
        target = importlib.import_module(source)
        # most modules say what is public in them; in others it is what they define
        public = set(dir(target)) if source == "tensorlite" else getattr(target, "__all__", None) or _defined_in(target)
        found.update(n for n in public if not n.startswith("_"))
    return tuple(sorted(n for n in found if _is_no_module(module, n)))


def _defined_in(target: types.ModuleType) -> Iterator[str]:
    return (n for n, v in vars(target).items() if getattr(v, "__module__", target.__name__) == target.__name__)


def _is_no_module(module: str, name: str) -> bool:
    try:
        resolve(module, name)
    except AttributeError:
        return False
    return True


class Facade(types.ModuleType):
    """A module named like torch's whose attributes are tensorlite's; what is looked up stays, so every name is resolved once."""

    def __init__(self, name: str, report: Report) -> None:
        super().__init__(name, f"{name}, as far as tensorlite has it.")
        self.__dict__["_report"] = report

    def __getattr__(self, name: str) -> Any:
        if name == "__all__":
            return [n for n in dir(self) if not n.startswith("_")]
        if is_special(name) and name != "__version__":
            raise AttributeError(f"module '{self.__name__}' has no attribute '{name}'")
        full = f"{self.__name__}.{name}"
        if full in MODULES:
            return importlib.import_module(full)
        report: Report = self.__dict__["_report"]
        try:
            value = resolve(self.__name__, name)
        except AttributeError:
            value = placeholder(full, report.called)
            report.asked(full, False)
        else:
            report.asked(full, True)
        self.__dict__[name] = value
        return value

    def __dir__(self) -> list[str]:
        return sorted({*names_of(self.__name__), *(n for n in self.__dict__ if not n.startswith("_"))})


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Answers `import torch`, `import torch.anything` and the packages that come with it."""

    def __init__(self, report: Report) -> None:
        self.report = report

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname.partition(".")[0] not in PACKAGES:
            return None
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        self.report.asked(spec.name, spec.name in MODULES)
        return Facade(spec.name, self.report)

    def exec_module(self, module: types.ModuleType) -> None:
        """Nothing to run: attributes are looked up when they are wanted."""
