"""Where the public data is: the folder named by CLAIMSFORMER_DATA, else shared/data beside the repository."""

import os
from pathlib import Path

import pytest

DATA = Path(os.environ.get("CLAIMSFORMER_DATA", Path(__file__).parents[4] / "shared" / "data"))


@pytest.fixture(scope="session")
def public_data() -> Path:
    if not DATA.is_dir():
        pytest.skip("the public data is not here; set CLAIMSFORMER_DATA to its folder")
    return DATA
