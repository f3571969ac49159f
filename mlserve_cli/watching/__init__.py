"""An inbox of shards watched: each is scored as one run once it is completely there, a bad one goes aside."""

from mlserve_cli.watching.aside import REASON_SUFFIX, Rejection, read_rejection
from mlserve_cli.watching.events import Delayed, Event, Noted, Rejected, Scored, Tally
from mlserve_cli.watching.inbox import Seen
from mlserve_cli.watching.request import WatchRequest
from mlserve_cli.watching.watcher import watch

__all__ = [
    "REASON_SUFFIX",
    "Delayed",
    "Event",
    "Noted",
    "Rejected",
    "Rejection",
    "Scored",
    "Seen",
    "Tally",
    "WatchRequest",
    "read_rejection",
    "watch",
]
