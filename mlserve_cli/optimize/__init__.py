"""New versions from old ones, each behind a gate: converted, quantised, pruned."""
