"""The profile of a whole run: whether it has one, and those of its tasks merged into a file beside the rest."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from mlserve_cli import storage
from mlserve_cli.contract import encode_sealed
from mlserve_cli.manifest import OutputFile, ProfileAccount, TaskRecord
from mlserve_cli.planning import Plan, profile_every_for
from mlserve_cli.profiles import Profile
from mlserve_cli.scoring import single_file
from mlserve_cli.scoring.drift_check import wants_profile
from mlserve_cli.scoring.machine import usable_cores
from mlserve_cli.scoring.request import STREAM, ScoreRequest
from mlserve_cli.tables import text_of

PROFILE_NAME = "profile.json"
CHUNK_ROWS = 65_536


def profile_every(request: ScoreRequest, *, is_package: bool, rows: int) -> int:
    """Of how many rows one goes to the quantiles of the run's profile; 0 for a run without a profile.

    `auto` makes one where there is a place for it and a package that it may be compared with, and where an option asks
    how far the rows have drifted.
    """
    folder = not request.single_file and request.output != STREAM
    asked = wants_profile(request)
    wanted = asked or (is_package and folder) if request.profile == "auto" else request.profile != "off"
    return profile_every_for(rows, whole=request.profile == "whole") if wanted else 0


def write_profile(
    plan: Plan, records: Sequence[TaskRecord], staging: storage.Staging, *, out: Path, is_file: bool
) -> tuple[Profile, OutputFile]:
    """Merge the tasks' profiles, in the plan's order, into a file of the staging that waits for the commit."""
    from mlserve_cli.profiles import merge  # with the sketches, which few runs load

    profile = merge(
        [record.profile for record in records if record.profile is not None],
        source=text_of(str(out)),
        model=plan.model.digest,
    )
    name = f"{out.name}{single_file.PROFILE_SUFFIX}" if is_file else PROFILE_NAME
    written = storage.replace(staging.payload / name, encode_sealed(profile))
    file = OutputFile(
        path=name,
        kind="profile",
        task=-1,
        rows=profile.rows,
        size_bytes=written.size_bytes,
        sha256=written.sha256,
    )
    return profile, file


def profile_account(profile: Profile, file: OutputFile) -> ProfileAccount:
    """What the manifest says of it."""
    return ProfileAccount(file.path, file.sha256, profile.rows, profile.quantile_rows)


def with_profiles(records: Iterable[TaskRecord], plan: Plan, *, data: Path) -> list[TaskRecord]:
    """The records of parts that were taken over, each with the profile of its rows where the plan asks for one.

    The earlier run's own profile does not do: it is of all its rows, sampled as its plan said.
    """
    taken = list(records)
    if not plan.profile_every:
        return taken
    from mlserve_cli.scoring.profiling import profile_part

    def profiled(record: TaskRecord) -> TaskRecord:
        task = plan.tasks[record.task]
        return msgspec.structs.replace(
            record, profile=profile_part(plan, task, data / record.part.name, chunk_rows=CHUNK_ROWS)
        )

    with ThreadPoolExecutor(usable_cores()) as pool:
        return list(pool.map(profiled, taken))
