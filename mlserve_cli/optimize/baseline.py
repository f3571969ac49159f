"""A version that knows the rows of its training, made of one that does not: the model stays as it is, to the byte."""

from __future__ import annotations

from pathlib import Path

import msgspec

from mlserve_cli.contract import decode_sealed
from mlserve_cli.errors import UsageError, shown
from mlserve_cli.optimize.made import Made, Place, put
from mlserve_cli.optimize.parent import open_parent
from mlserve_cli.profiles import Profile
from mlserve_cli.registry import BASELINE_FILE, Lineage, read_baseline


def baseline(model: str, profile: str, place: Place) -> Made:
    """MODEL's package with another baseline, or its first: the profile at `profile`, its file or a run that has one.

    All else is MODEL's: contract, golden rows, gates, provenance. Raises UsageError (2) where MODEL is no package, or
    the profile lacks a column that it reads, and what `read_baseline` does.
    """
    place.check()
    parent = open_parent(model, registry=place.registry)
    before, folder = parent.package.described, Path(parent.package.path)
    if before is None:
        raise UsageError(
            "a bare .onnx file has no package to put a baseline into",
            shown(model, limit=400),
            "mlserve model package --onnx FILE --data TRAINING --baseline PROFILE",
        )
    described = msgspec.structs.replace(
        before,
        name=place.name or before.name,
        version="",
        baseline=BASELINE_FILE,
        lineage=Lineage("baseline", parent=parent.found.spelled, parent_digest=parent.package.digest),
        digests={},
    )
    files: dict[str, bytes | Path] = {file: folder / file for file in before.digests if file != before.baseline}
    files[BASELINE_FILE] = data = read_baseline(profile, columns=parent.contract.columns)
    found = decode_sealed(data, Profile, where=shown(profile, limit=400))
    step = f"baseline of {found.rows:,} rows: {found.source}"
    return put(parent, described, files, place, size_bytes=len(parent.data), steps=(step,))
