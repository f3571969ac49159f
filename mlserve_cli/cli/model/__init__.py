"""`mlserve model …`: packages and the registry, new versions from old ones, and whom to trust. One file per group."""

from mlserve_cli.cli.model.app import model_app

__all__ = ["model_app"]
