import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real() -> Path:
    """The folder of real networks and photos: `WHYLOOK_REAL`, or `shared/real` beside the repository."""
    folder = Path(os.environ.get("WHYLOOK_REAL") or Path(__file__).resolve().parents[2] / "shared" / "real")
    if not (folder / "weights").is_dir():
        pytest.skip(f"needs the real networks and photos, not in {folder} (WHYLOOK_REAL names another folder)")
    return folder
