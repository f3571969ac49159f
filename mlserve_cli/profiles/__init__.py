"""What a column's values look like, as a value that merges; and how far two such profiles are from one another."""

from mlserve_cli.profiles.values import PROFILE_FORMAT, ColumnProfile, Profile
from mlserve_cli.profiles.verdict import ColumnDrift, Drift

__all__ = ["PROFILE_FORMAT", "ColumnDrift", "ColumnProfile", "Drift", "Profile"]
