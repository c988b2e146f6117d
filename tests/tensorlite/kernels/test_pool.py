import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from tensorlite.kernels.pool import keep_freed_memory, use_huge_pages

FAULTS = """
import resource
import numpy as np
from tensorlite.kernels.pool import keep_freed_memory

if {keep}:
    assert keep_freed_memory()
x = np.ones(2**19, np.float32)
def chain():
    a = x * 2
    return a + 1
chain()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(50):
    chain()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


HUGE = """
import numpy as np
from pathlib import Path
from tensorlite.kernels.pool import keep_freed_memory, use_huge_pages

def kilobytes(name):
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1])

before = kilobytes("Rss")
assert keep_freed_memory() and use_huge_pages()
taken = kilobytes("Rss") - before
arrays = [np.ones(2**18, np.float32) for _ in range(32)]
print(taken, kilobytes("AnonHugePages"))
"""


def output_of(code: str) -> list[int]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    return [int(word) for word in result.stdout.split()]


def page_faults(keep: bool) -> int:
    return output_of(FAULTS.format(keep=keep))[0]


def huge_pages_may_be_asked_for() -> bool:
    setting = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    return setting.exists() and "[never]" not in setting.read_text()


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the setting is glibc's")
def test_temporaries_of_two_mebibytes_fault_in_no_new_pages():
    """Two temporaries of 512 pages each, fifty times, are up to 51,200 faults when nothing is kept."""
    assert page_faults(keep=True) < 2000


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the heap is glibc's")
@pytest.mark.skipif(not huge_pages_may_be_asked_for(), reason="this system has no transparent huge pages")
def test_arrays_of_a_mebibyte_lie_on_huge_pages_and_asking_for_them_takes_no_memory():
    taken, huge = output_of(HUGE)
    assert taken < 1024
    assert huge > 0  # of 32 MiB; the system may have few free ones


def test_less_than_a_huge_page_is_not_asked_for():
    assert not use_huge_pages(4096)


def test_a_size_that_mallopt_cannot_take_is_refused():
    with pytest.raises(ValueError, match=r"got -1"):
        keep_freed_memory(-1)
