"""The profile of the data that a model was trained on, in its package: what later runs are held against."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from mlserve_cli.contract import encode_sealed
from mlserve_cli.errors import UsageError, shown
from mlserve_cli.profiles import read_profile

BASELINE_FILE = "profile.json"


def read_baseline(path: str, *, columns: Iterable[str]) -> bytes:
    """The profile at `path` (its file, or that of a run) as a package takes it.

    Raises InputMissing (66) where there is none, RunMismatch (65) where it was changed, and UsageError (2) where it
    does not know all `columns` that the model reads.
    """
    profile = read_profile(Path(path))
    known = {*profile.features, *profile.left_out}
    missing = [name for name in columns if name not in known and f"{name}[0]" not in known]
    if missing:
        raise UsageError(
            f"the baseline does not have {shown(missing[0])}, which the model reads",
            shown(path, limit=400),
            "profile the rows that it was trained on: mlserve profile DATA --model MODEL -o profile.json",
        )
    return encode_sealed(profile)
