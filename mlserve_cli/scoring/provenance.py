"""Where a model comes from: who packaged it, from which file and commit, and the digest of its training data."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from mlserve_cli.contract import Scalar, sha256_of
from mlserve_cli.registry import login_name
from mlserve_cli.storage import record_of, translated
from mlserve_cli.tables import Shard

GIT_TIMEOUT_S = 10


def provenance_of(onnx: str, shards: Sequence[Shard], *, who: str) -> dict[str, Scalar]:
    """What can be known without asking. `when` is when the ONNX file was written, not now: packaged again, the same
    model is the same package, and a retried task makes no second version."""
    with translated(onnx, "look at the model"):
        written = datetime.fromtimestamp(int(Path(onnx).stat().st_mtime), UTC)
    found: dict[str, Scalar] = {"who": who or login_name(), "when": written.isoformat().replace("+00:00", "Z")}
    found |= _commit()
    digests = {shard.name: record_of(Path(shard.os_path)).sha256 for shard in shards}
    whole = next(iter(digests.values())) if len(digests) == 1 else sha256_of(digests)
    rows = sum(shard.rows for shard in shards)
    return {**found, "data_files": len(digests), "data_rows": rows, "data_sha256": f"sha256:{whole}"}


def _commit() -> dict[str, Scalar]:
    """The commit of the working directory; `source_changed` where files that git knows differ from it."""
    commit = _git("rev-parse", "HEAD")
    if commit is None:
        return {}
    changed = _git("status", "--porcelain", "--untracked-files=no")
    return {"source_commit": commit, **({"source_changed": True} if changed else {})}


def _git(*arguments: str) -> str | None:
    """What git says, None where it is not there, or there is no repository."""
    with suppress(OSError, subprocess.SubprocessError, UnicodeDecodeError):
        done = subprocess.run(
            ["git", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=GIT_TIMEOUT_S,
            check=True,
        )
        return done.stdout.strip()
    return None
