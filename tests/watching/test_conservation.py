"""Law 1 over all runs: whatever comes when, whoever is promoted, wherever the watcher dies, each row is scored once."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlserve_cli import ScoreRequest, scoring
from mlserve_cli.registry import Registry
from mlserve_cli.scoring import RunResult
from tests.registry.shelves import filled
from tests.scoring.runs import IN_MEMORY, model_file, scored
from tests.watching.inboxes import Inbox

# What happens between two watchers, and how each of them ends.
COMES = st.sampled_from(("csv", "parquet", "bad", "again"))
PROMOTES = st.sampled_from((1, 2, 3))
DIES = st.sampled_from((None, ("before", 0), ("after", 0), ("before", 1), ("after", 1)))
STEPS = st.lists(st.tuples(st.lists(COMES, max_size=3), PROMOTES, DIES, st.booleans()), min_size=1, max_size=5)


class Killed(BaseException):
    """What takes the watcher away without a word."""


@dataclass(slots=True)
class World:
    """What was put into the inbox, by name, and the version by which each shard was scored."""

    inbox: Inbox
    registry: Registry
    good: dict[str, int] = field(default_factory=dict)
    bad: set[str] = field(default_factory=set)
    versions: dict[str, list[str]] = field(default_factory=dict)
    count: int = 0

    def come(self, kind: str) -> None:
        self.count += 1
        name, rows = f"{self.count}.{'csv' if kind != 'parquet' else kind}", 1 + self.count % 4
        if kind == "bad":
            self.inbox.put_text(name, "a,b,c\n1,2,no\n")
            self.bad.add(name)
        elif kind == "again":
            self.come_again()
        else:
            self.inbox.put(name, rows, first=self.count)
            self.good[name] = rows

    def come_again(self) -> None:
        """A shard that still lies in the inbox is delivered a second time, with the same bytes."""
        for path in sorted(self.inbox.path.glob("*.csv"))[:1]:
            path.write_bytes(path.read_bytes())

    def promote(self, version: int) -> None:
        self.registry.set_alias("churn", "champion", version, why="a test", by="ann")

    def watch(self, dies: tuple[str, int] | None, *, moves: bool) -> None:
        """One pass; it may be killed before or after the run of one of its shards."""
        met = 0

        def score(request: ScoreRequest) -> RunResult:
            nonlocal met
            here, met = met, met + 1
            if dies == ("before", here):
                raise Killed
            result = scoring.score(request)
            if not result.already:
                self.versions.setdefault(Path(request.inputs[0]).name, []).append(result.manifest.model.version)
            if dies == ("after", here):
                raise Killed
            return result

        of_run = {"model": "churn@champion", "registry": str(self.registry.root)}
        move_to = str(self.inbox.folder / "done") if moves else None
        with contextlib.suppress(Killed):
            self.inbox.watch(score=score, of_run=of_run, move_to=move_to)


@pytest.fixture(scope="module")
def registry() -> Iterator[Registry]:
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as folder:
        yield filled(Path(folder).resolve())


@given(steps=STEPS)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_every_row_is_scored_once_by_the_version_of_its_moment(
    registry: Registry, steps: Sequence[tuple[list[str], int, tuple[str, int] | None, bool]]
) -> None:
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as folder:
        world = World(Inbox.made(Path(folder).resolve()), registry)
        wanted: dict[str, str] = {}
        for comes, version, dies, moves in steps:
            for kind in comes:
                world.come(kind)
            world.promote(version)
            before = set(world.versions)
            world.watch(dies, moves=moves)
            wanted |= {name: str(version) for name in world.versions.keys() - before}
        world.watch(None, moves=False)
        wanted |= {name: str(steps[-1][1]) for name in world.versions.keys() - wanted.keys()}

        runs = world.inbox.runs()  # each of them proved by verify
        assert {name: run.manifest.rows.rows_in for name, run in runs.items()} == world.good
        assert world.versions == {name: [version] for name, version in wanted.items()}
        assert {name: run.manifest.model.version for name, run in runs.items()} == wanted
        rejected = {path.name for path in world.inbox.rejected.glob("*.csv")}
        assert rejected == world.bad
        assert all(world.inbox.reason(name).exit_code == 65 for name in world.bad)


def test_the_schedule_can_fail(tmp_path: Path) -> None:
    """What it would take to break the law is seen: a run that is lost, or one that stands for other rows."""
    inbox = Inbox.made(tmp_path)
    model_file(tmp_path)
    inbox.put("a.csv", 3)
    inbox.watch()
    (run,) = inbox.runs().values()
    assert scored(RunResult(run.manifest, run.path, run.manifest_path, already=True)).num_rows == 3

    next((run.path / "data").iterdir()).write_bytes(b"")
    with pytest.raises(Exception, match="sha256"):
        inbox.runs()
