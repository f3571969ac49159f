"""The one moment in which a run comes to stand at OUT: whole, or not at all."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from mlserve_cli.errors import OutputExists, shown
from mlserve_cli.storage._oserrors import translated
from mlserve_cli.storage._output import Standing, is_run_folder, standing_at
from mlserve_cli.storage._publish import record_of, sync_folder
from mlserve_cli.storage._rename import exchange
from mlserve_cli.storage._signals import deferred_signals
from mlserve_cli.storage._staging import Staging, remove_tree


def commit_folder(staging: Staging, out: Path, *, overwrite: bool) -> None:
    """The staging's payload becomes `out` in one step; then the staging goes. The caller holds `out`.

    Files and folders were made under the run's umask, inside a staging that nobody else could enter. Signals land
    before the step or after the clean-up, never between. Without `overwrite` it is a plain rename: of a folder that
    never replaces anything but an empty folder, on any file system.
    """
    with translated(out, "commit the run"):
        staging.sweep()
        for folder in _folders_bottom_up(staging.payload):
            sync_folder(folder)
        with deferred_signals():
            replaces = overwrite and standing_at(out, is_file=False) is not Standing.NOTHING
            undo = _swap(staging, out) if replaces else _move(staging.payload, out)
            try:
                sync_folder(out.parent)
            except OSError:
                undo()
                raise
            with suppress(OSError):  # the run stands: a staging that cannot be removed now goes with the next --resume
                staging.plan.unlink(missing_ok=True)
                remove_tree(staging.root)


def commit_files(staged: Sequence[tuple[Path, Path]], *, overwrite: bool) -> None:
    """Each staged file comes to stand at its name, in the order given: the manifest last. The caller holds them all.

    A crash between two leaves the first without a manifest, so without a run; the staging still has them all and the
    same commit, made again, takes for its own what is identical to what it would put there. A failure takes back what
    this call put there. The staging stays: discard it afterwards.
    """
    done: list[tuple[Path, Path | None]] = []
    with deferred_signals():
        try:
            for source, target in staged:
                with translated(target, "commit the run"):
                    kept = _put(source, target, overwrite=overwrite)
                    if kept is not source:
                        done.append((target, kept))
                    sync_folder(target.parent)
        except BaseException:
            for target, kept in reversed(done):
                with suppress(OSError):
                    target.unlink() if kept is None else os.replace(kept, target)
            raise
        for _, kept in done:
            if kept is not None:
                kept.unlink(missing_ok=True)


def _folders_bottom_up(payload: Path) -> list[Path]:
    """The payload's folders, those below first. Empty ones are no part of a run: no row was set aside, no challenger
    got through a task."""
    beside = payload / "challengers"
    for folder in (*(beside.iterdir() if beside.is_dir() else ()), beside, payload / "quarantine"):
        with suppress(OSError):
            os.rmdir(folder)
    return [Path(folder) for folder, _, _ in os.walk(payload, topdown=False)]


def _move(payload: Path, out: Path) -> Callable[[], None]:
    """The new run in. Returns what takes it back."""
    empty_mode = stat.S_IMODE(os.stat(out).st_mode) if out.is_dir() else None
    try:
        os.rename(payload, out)
    except NotADirectoryError:
        raise _refusal("a file stands where the output folder should be", out) from None

    def undo() -> None:
        os.rename(out, payload)
        if empty_mode is not None:
            os.mkdir(out, empty_mode)

    return undo


def _swap(staging: Staging, out: Path) -> Callable[[], None]:
    """The old run out, the new one in. Returns what takes it back.

    What is not a finished run is never replaced, so never deleted. It is looked at again once it is ours alone, since
    somebody may have put a file into it meanwhile.
    """
    if not is_run_folder(out):
        raise _refusal("what stands there is not a finished run, so it is not overwritten", out)
    if exchange(staging.payload, out):
        old, undo = staging.payload, partial(_exchange_again, staging.payload, out)
    else:
        old, undo = staging.old, partial(_rename_both, out, staging.payload, staging.old, out)
        _rename_both(out, old, staging.payload, out)
    try:
        if not is_run_folder(old):
            raise _refusal("something was put into the old run while the new one was made", out)
    except (OSError, OutputExists):
        undo()
        raise
    return undo


def _exchange_again(one: Path, other: Path) -> None:
    exchange(one, other)


def _rename_both(first: Path, first_to: Path, second: Path, second_to: Path) -> None:
    os.rename(first, first_to)
    try:
        os.rename(second, second_to)
    except OSError:
        os.rename(first_to, first)
        raise


def _put(source: Path, target: Path, *, overwrite: bool) -> Path | None:
    """Let `target` be `source`. Returns where the old one is kept, None where there was none, `source` where nothing
    had to be done. Raises OSError."""
    try:
        os.link(source, target)
        return None
    except FileExistsError:
        if _is_same(source, target):
            return source
        if not overwrite:
            raise
    kept, draft = source.with_name(f"{source.name}.kept"), source.with_name(f"{source.name}.new")
    for leftover in (kept, draft):
        leftover.unlink(missing_ok=True)
    os.link(target, kept)
    os.link(source, draft)
    os.replace(draft, target)
    return kept


def _is_same(source: Path, target: Path) -> bool:
    if os.path.samefile(source, target):
        return True
    one, other = record_of(source), record_of(target)
    return (one.size_bytes, one.sha256) == (other.size_bytes, other.sha256)


def _refusal(what: str, out: Path) -> OutputExists:
    return OutputExists(what, shown(os.fspath(out), limit=400), "choose another --output, or move it away")
