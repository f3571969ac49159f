"""Models of other libraries become packages: one module for each library, and one check for all of them."""

from mlserve_cli.optimize.convert.convert import Converted, ConvertRequest, convert
from mlserve_cli.optimize.convert.parity import Limits

__all__ = ["ConvertRequest", "Converted", "Limits", "convert"]
