"""Packages: a model with its contract, golden rows and digests, opened from a folder or a bare `.onnx` file."""

from mlserve_cli.registry.packages import PACKAGE_FORMAT, Golden, Package, PackageFile, open_package

__all__ = ["PACKAGE_FORMAT", "Golden", "Package", "PackageFile", "open_package"]
