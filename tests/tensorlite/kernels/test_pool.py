import os
import platform
import subprocess
import sys

import pytest

from tensorlite.kernels.pool import keep_freed_memory

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


def page_faults(keep: bool) -> int:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    code = FAULTS.format(keep=keep)
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    return int(result.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the setting is glibc's")
def test_temporaries_of_two_mebibytes_fault_in_no_new_pages():
    """Two temporaries of 512 pages each, fifty times, are up to 51,200 faults when nothing is kept."""
    assert page_faults(keep=True) < 2000


def test_a_size_that_mallopt_cannot_take_is_refused():
    with pytest.raises(ValueError, match=r"got -1"):
        keep_freed_memory(-1)
