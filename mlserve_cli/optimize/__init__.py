"""New versions from old ones, each behind a gate: converted, quantised, pruned; or with a baseline that they lacked."""
