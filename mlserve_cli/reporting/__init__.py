"""Reports: what a run, or many of them, came to, as one page of HTML that needs nothing else."""

from mlserve_cli.reporting.report import Reported, report

__all__ = ["Reported", "report"]
