"""How often and how long: every interval of the asynchronous half, in seconds of real time."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Timing:
    """Production's values; tests shorten them."""

    # Polls of an idle relay and an idle dispatcher; work known to this process wakes them at once.
    relay_interval: float = 0.2
    dispatch_interval: float = 0.2
    tick_interval: float = 0.5
    sweep_interval: float = 1.0
    # A queued job that was announced and not claimed for so long is announced again, or when a process starts.
    announce_again_after: float = 30.0
    # A claimed job belongs to its worker for so long, renewed while it runs.
    lease: float = 10.0
    renew_interval: float = 3.0
    # A handler that takes longer is stopped and tried again.
    job_limit: float = 300.0
    # Pause before the second attempt; doubles with each further one, with jitter, up to the longest.
    retry_pause: float = 2.0
    longest_retry_pause: float = 600.0
    feed_interval: float = 60.0
    # A window ends so long ago: what commits or travels now is not missing yet.
    feed_grace: float = 60.0
    # A window begins so long before what was checked already, for transactions slower than the grace.
    feed_overlap: float = 600.0
    # Running chunks may end within this when the process is asked to stop.
    drain: float = 8.0


DEFAULT = Timing()
