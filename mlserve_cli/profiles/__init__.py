"""What a column's values look like, as a value that merges; and how far two such profiles are from one another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlserve_cli.profiles.values import PROFILE_FORMAT, ColumnProfile, Kind, Profile
from mlserve_cli.profiles.verdict import ColumnDrift, Drift

if TYPE_CHECKING:
    from mlserve_cli.profiles.categories import KEPT_VALUES
    from mlserve_cli.profiles.judge import drift
    from mlserve_cli.profiles.merging import merge, merge_columns
    from mlserve_cli.profiles.profiler import Categories, Column, Numbers, Profiler, sampled_rows
    from mlserve_cli.profiles.read import PROFILE_NAME, profile_path, read_profile
    from mlserve_cli.profiles.sketch import RANK_ERROR, SHARE_ERROR, Distribution, distribution, quantiles
    from mlserve_cli.profiles.thresholds import Limits, Thresholds, read_thresholds

__all__ = [
    "KEPT_VALUES",
    "PROFILE_FORMAT",
    "PROFILE_NAME",
    "RANK_ERROR",
    "SHARE_ERROR",
    "Categories",
    "Column",
    "ColumnDrift",
    "ColumnProfile",
    "Distribution",
    "Drift",
    "Kind",
    "Limits",
    "Numbers",
    "Profile",
    "Profiler",
    "Thresholds",
    "distribution",
    "drift",
    "merge",
    "merge_columns",
    "profile_path",
    "quantiles",
    "read_profile",
    "read_thresholds",
    "sampled_rows",
]
_HOMES = {
    "drift": "judge",
    "KEPT_VALUES": "categories",
    "merge": "merging",
    "merge_columns": "merging",
    "Categories": "profiler",
    "Column": "profiler",
    "Numbers": "profiler",
    "Profiler": "profiler",
    "sampled_rows": "profiler",
    "PROFILE_NAME": "read",
    "profile_path": "read",
    "read_profile": "read",
    "RANK_ERROR": "sketch",
    "SHARE_ERROR": "sketch",
    "Distribution": "sketch",
    "distribution": "sketch",
    "quantiles": "sketch",
    "Limits": "thresholds",
    "Thresholds": "thresholds",
    "read_thresholds": "thresholds",
}


def __getattr__(name: str) -> object:
    """Loaded when first asked for: every manifest knows the values, and few runs make or read the sketches."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{home}"), name)
