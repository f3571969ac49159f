"""`mlserve profile`: of data, as a model takes and scores it or as it stands; or a profile that stands already."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import msgspec

from mlserve_cli import storage, tables
from mlserve_cli.contract import encode_sealed
from mlserve_cli.errors import UsageError, shown
from mlserve_cli.manifest import is_manifest, refuse_inside_run
from mlserve_cli.monitoring.columns import profile_columns
from mlserve_cli.profiles import PROFILE_FORMAT, Profile, read_profile
from mlserve_cli.registry import PACKAGE_FILE, open_package
from mlserve_cli.scoring.request import SILENT, Observer, ScoreRequest
from mlserve_cli.scoring.score_run import score_as
from mlserve_cli.tables import Dialect, text_of


def profile(
    *targets: str,
    request: ScoreRequest | None = None,
    output: str | None = None,
    categories: Sequence[str] = (),
    dialect: Dialect = tables.Dialect(),
    input_format: Literal["parquet", "csv"] | None = None,
    observer: Observer = SILENT,
) -> Profile:
    """The profile of the data at `targets`, or that of the run, package or profile.json that the only target is.

    With `request` the data is scored as it says, for the scores' profile, and nothing of that is kept; its inputs and
    output are not looked at. Without, it is that of every column as it stands, `categories` taken as such whatever is
    in them. `output` is where it goes as well.

    Raises InputMissing (66) where nothing is there, and what the data deserves where it cannot be read or scored.
    """
    if output is not None:
        storage.check_creatable(storage.locate(output), is_file=True)
        refuse_inside_run(storage.locate(output), what="the profile")
    if _is_profiled(targets):
        if request is not None or categories:
            raise UsageError("a run or a package has its profile, and takes no model", shown(targets[0], limit=400))
        found = _standing(Path(targets[0]))
    elif request is not None:
        if categories:
            raise UsageError("a model says itself what is a category", "--category", "leave it out")
        found = _scored(targets, request, observer=observer)
    else:
        found = profile_columns(targets, categories=categories, dialect=dialect, input_format=input_format)
    if output is not None:
        storage.replace(storage.locate(output), encode_sealed(found))
    return found


def _is_profiled(targets: Sequence[str]) -> bool:
    """Whether the target is a thing that has a profile, rather than rows."""
    if len(targets) != 1:
        return False
    path = Path(targets[0])
    names = ("manifest.json", PACKAGE_FILE)
    beside = path.with_name(f"{path.name}.manifest.json")
    return path.suffix == ".json" or is_manifest(path) or beside.is_file() or any((path / n).is_file() for n in names)


def _standing(path: Path) -> Profile:
    if (path / PACKAGE_FILE).is_file():
        package = open_package(str(path))
        if not package.baseline_path:
            raise UsageError(
                "the package has no profile of its training data",
                shown(str(path), limit=400),
                "profile that data with --model, and give it to the model: mlserve model baseline",
            )
        return read_profile(Path(package.baseline_path))
    return read_profile(path)


def _scored(targets: Sequence[str], request: ScoreRequest, *, observer: Observer) -> Profile:
    """Score into a folder that is thrown away: what a run would make of it, by the same code."""
    with storage.translated(tempfile.gettempdir(), "create a folder for the scores"):
        folder = tempfile.TemporaryDirectory(prefix="mlserve-profile-")
    with folder as place:
        asked = replace(request, inputs=tuple(targets), output=os.path.join(place, "run"), profile="whole")
        result = score_as(asked, observer=observer, told="a profile")
        found = read_profile(result.output)
    return msgspec.structs.replace(found, format=PROFILE_FORMAT, source=", ".join(map(text_of, targets)), digest="")
