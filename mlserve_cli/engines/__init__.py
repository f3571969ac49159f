"""Where jobs run: in this process, or in worker processes that may die without taking the run along."""

from mlserve_cli.engines._inprocess import InProcess, check_stop
from mlserve_cli.engines._memory import resident_bytes
from mlserve_cli.engines._processes import Processes
from mlserve_cli.engines._seam import Died, Engine, Event, Finished, TimedOut

__all__ = [
    "Died",
    "Engine",
    "Event",
    "Finished",
    "InProcess",
    "Processes",
    "TimedOut",
    "check_stop",
    "resident_bytes",
]
