"""The only layer that makes files appear: staging, publishing without clobbering, locks, the commit."""

from mlserve_cli.storage._append import HeldLog, held_log, read_log
from mlserve_cli.storage._commit import commit_files, commit_folder
from mlserve_cli.storage._folder import FolderDraft, discard_folder, draft_folder, publish_folder, sweep_drafts
from mlserve_cli.storage._lock import hold, wait_to_hold
from mlserve_cli.storage._oserrors import translated
from mlserve_cli.storage._output import Standing, check_creatable, locate, manifest_of, standing_at
from mlserve_cli.storage._publish import FileRecord, Published, move, publish, record_of, replace
from mlserve_cli.storage._signals import deferred_signals
from mlserve_cli.storage._staging import Staging, recover, scratch, staging_of, stagings

__all__ = [
    "FileRecord",
    "FolderDraft",
    "HeldLog",
    "Published",
    "Staging",
    "Standing",
    "check_creatable",
    "commit_files",
    "commit_folder",
    "deferred_signals",
    "discard_folder",
    "draft_folder",
    "held_log",
    "hold",
    "locate",
    "manifest_of",
    "move",
    "publish",
    "publish_folder",
    "read_log",
    "record_of",
    "recover",
    "replace",
    "scratch",
    "staging_of",
    "stagings",
    "standing_at",
    "sweep_drafts",
    "translated",
    "wait_to_hold",
]
