"""An inbox with a model for it: shards to put there, passes of a watcher over it, and what stands afterwards."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlserve_cli import ScoreRequest, Tally, WatchRequest, scoring, verify, watch
from mlserve_cli.manifest import FoundRun, find_runs
from mlserve_cli.watching import REASON_SUFFIX, Event, Rejection, read_rejection
from tests.scoring.runs import ABC, model_file, numbers, shard

Score = Callable[[ScoreRequest], scoring.RunResult]


@dataclass(frozen=True, slots=True)
class Inbox:
    """`in` is what is watched and `out` where the runs stand; `heard` is all that was told."""

    folder: Path
    heard: list[Event] = field(default_factory=list)

    @classmethod
    def made(cls, folder: Path) -> Inbox:
        (folder / "in").mkdir()
        model_file(folder)
        return cls(folder)

    @property
    def path(self) -> Path:
        return self.folder / "in"

    @property
    def out(self) -> Path:
        return self.folder / "out"

    @property
    def rejected(self) -> Path:
        return self.path / "_rejected"

    def put(self, name: str, rows: int = 3, *, first: int = 0) -> Path:
        """A good shard."""
        return shard(self.path / name, numbers(rows, first=first))

    def put_text(self, name: str, text: str | bytes) -> Path:
        """Any file."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    def request(self, *, of_run: dict[str, Any] | None = None, **options: Any) -> WatchRequest:
        """One pass over what is there, which is complete as it is."""
        wanted = {"model": str(self.folder / "model.onnx"), "inputs": (), "output": str(self.out), "workers": 1}
        run = ScoreRequest(**{**wanted, "features": (",".join(ABC),), **(of_run or {})})
        return WatchRequest(**{"inbox": str(self.path), "run": run, "once": True, "settled_s": 0.0, **options})

    def watch(self, *, score: Score = scoring.score, of_run: dict[str, Any] | None = None, **options: Any) -> Tally:
        """See `request`."""
        return watch(self.request(of_run=of_run, **options), score=score, tell=self.heard.append)

    def runs(self) -> dict[str, FoundRun]:
        """Every run that stands, by its place under `out`; each is proved."""
        if not any(self.out.rglob("manifest.json")):
            return {}
        found = {os.path.relpath(run.path, self.out): run for run in find_runs(self.out)}
        for run in found.values():
            verify(str(run.path))
        return found

    def shards(self) -> set[str]:
        """What lies in the inbox for a watcher to see."""
        files = (path.relative_to(self.path) for path in self.path.rglob("*") if path.is_file())
        return {str(path) for path in files if not any(part.startswith(("_", ".")) for part in path.parts)}

    def reason(self, name: str, *, folder: Path | None = None) -> Rejection:
        """Why a shard is set aside."""
        return read_rejection((folder or self.rejected) / (name + REASON_SUFFIX))
