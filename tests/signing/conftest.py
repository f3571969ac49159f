"""The shop of the tests of trust, where keys and signatures are made."""

from tests.trust.conftest import no_policy_of_mine, shop

__all__ = ["no_policy_of_mine", "shop"]
