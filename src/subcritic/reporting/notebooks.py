"""What notebooks begin with, wherever they are run from."""

from __future__ import annotations

import os
from pathlib import Path

# A folder of results other than the repository's.
FOLDER = "SUBCRITIC_RESULTS"


def results_folder() -> Path:
    """`results/` of the repository that the working folder lies in, or else of that which this package is installed from.

    The environment variable SUBCRITIC_RESULTS names another one.
    """
    if os.environ.get(FOLDER):
        return Path(os.environ[FOLDER]).resolve()
    here = Path.cwd()
    places = (*(here, *here.parents), Path(__file__).parents[3])
    repository = next((place for place in places if (place / "Snakefile").exists()), here)
    return repository / "results"
