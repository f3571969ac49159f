"""The desk of the command line's tests, and no policy of whoever runs them."""

from tests.cli.conftest import desk
from tests.trust.conftest import no_policy_of_mine

__all__ = ["desk", "no_policy_of_mine"]
