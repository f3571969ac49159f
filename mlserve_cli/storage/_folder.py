"""A folder that appears whole or not at all: a package, or a version of one in a registry.

.NAME.<pid>-<random>.draft/   0700, beside the name
    whole/                    made under the umask; what becomes NAME
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import msgspec

from mlserve_cli.storage._oserrors import translated
from mlserve_cli.storage._publish import DRAFT_SUFFIX, FileRecord, publish, sync_folder
from mlserve_cli.storage._rename import rename_to_free_name
from mlserve_cli.storage._signals import deferred_signals
from mlserve_cli.storage._staging import remove_tree

_COPY_BYTES = 1 << 20


class FolderDraft(msgspec.Struct, frozen=True):
    """A folder while it is filled. `records` is what was put into it, measured as it was written."""

    root: Path
    target: Path
    records: dict[str, FileRecord] = {}

    @property
    def folder(self) -> Path:
        """Where its files are, until it is published."""
        return self.root / "whole"

    def add(self, name: str, content: bytes | Path) -> FileRecord:
        """Write one file, from bytes or from another file; `name` may lie in folders."""
        path = self.folder / name
        with translated(path, "create"):
            path.parent.mkdir(parents=True, exist_ok=True)
        self.records[name] = publish(path, lambda file: _fill(file, content)).record
        return self.records[name]

    def publish(self) -> bool:
        """It stands at its name, durable; False where the name is taken, which is left as it is."""
        whole = self.folder
        with translated(self.target, "put the finished folder in its place"):
            for folder, _, _ in os.walk(whole, topdown=False):
                sync_folder(Path(folder))
            with deferred_signals():
                is_new = rename_to_free_name(whole, self.target)
                sync_folder(self.target.parent)
        return is_new


@contextmanager
def draft_folder(target: Path) -> Iterator[FolderDraft]:
    """A draft beside `target`; what was not published when the block ends is gone."""
    root = target.with_name(f".{target.name}.{os.getpid()}-{os.urandom(4).hex()}{DRAFT_SUFFIX}")
    try:
        with translated(target, "create"):
            root.mkdir(0o700)
            (root / "whole").mkdir()
        yield FolderDraft(root, target)
    finally:
        with deferred_signals(), suppress(OSError):
            remove_tree(root)


def publish_folder(target: Path, files: Mapping[str, bytes | Path]) -> bool:
    """A folder of these files; False where the name is taken."""
    with draft_folder(target) as draft:
        for name, content in files.items():
            draft.add(name, content)
        return draft.publish()


def discard_folder(path: Path) -> None:
    """Remove a folder: first its name, in one step, so that nobody finds half of it."""
    gone = path.with_name(f".{path.name}.{os.getpid()}-{os.urandom(4).hex()}{DRAFT_SUFFIX}")
    with translated(path, "remove"):
        os.rename(path, gone)
        sync_folder(path.parent)
        remove_tree(gone)


def sweep_drafts(folder: Path) -> None:
    """Remove what killed writers left half done in `folder`. Nobody may be writing there any more."""
    with translated(folder, "remove what was half written"):
        for draft in folder.glob(f".*{DRAFT_SUFFIX}"):
            if draft.is_dir() and not draft.is_symlink():
                remove_tree(draft)
            else:
                draft.unlink(missing_ok=True)


def _fill(file: BinaryIO, content: bytes | Path) -> None:
    if isinstance(content, bytes):
        file.write(content)
        return
    with translated(content, "read"), open(content, "rb") as source:
        shutil.copyfileobj(source, file, _COPY_BYTES)
