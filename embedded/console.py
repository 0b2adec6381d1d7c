"""Turns the JSON log lines of many processes into one readable stream."""

import json
import sys
from datetime import datetime

COLOURS = {"debug": "2", "info": "36", "warning": "33", "error": "31", "critical": "1;31"}
WIDTH = 16
# Said already by the line's head, or of no use to a reader's eye.
HIDDEN = {"time", "level", "service", "process", "event", "logger", "trace_id", "span_id", "exception"}


class Console:
    """Writes to standard output, in colour when it is a terminal.

    While `only` names a child, the others are heard when something is wrong.
    """

    def __init__(self) -> None:
        self.only: str | None = None
        self._colour = sys.stdout.isatty()

    def log(self, name: str, raw: str) -> None:
        """One line of a child, JSON or not."""
        time, level, text = parse(raw)
        if not text or (self.only not in (None, name) and level in ("debug", "info")):
            return
        shown = self._paint(COLOURS.get(level, "0"), f"{level:<7}")
        print(f"{self._paint('2', time)} {name:<{WIDTH}} {shown} {text}", flush=True)

    def say(self, text: str, level: str = "info") -> None:
        """One line of the supervisor itself."""
        now = datetime.now().astimezone().strftime("%H:%M:%S.%f")[:12]
        shown = self._paint(COLOURS[level], f"{level:<7}")
        print(f"{self._paint('2', now)} {'supervisor':<{WIDTH}} {shown} {text}", flush=True)

    def block(self, lines: list[str]) -> None:
        """Lines that stand out: what a person needs to go on."""
        print("", *(f"  {line}" for line in lines), "", sep="\n", flush=True)

    def bold(self, text: str) -> str:
        """`text`, bold on a terminal."""
        return self._paint("1", text)

    def _paint(self, code: str, text: str) -> str:
        return f"\033[{code}m{text}\033[0m" if self._colour else text


def parse(raw: str) -> tuple[str, str, str]:
    """Local time, level and text of a log line; a line that is not JSON is a text at level `info`."""
    now = datetime.now().astimezone()
    try:
        record = json.loads(raw)
    except ValueError:
        record = None
    if not isinstance(record, dict):
        return now.strftime("%H:%M:%S.%f")[:12], "info", raw
    try:
        moment = datetime.fromisoformat(str(record.get("time"))).astimezone()
    except ValueError:
        moment = now
    pairs = [f"{key}={_value(value)}" for key, value in record.items() if key not in HIDDEN]
    text = " ".join([str(record.get("event", "")), *pairs])
    if record.get("exception"):
        text += "\n" + str(record["exception"])
    return moment.strftime("%H:%M:%S.%f")[:12], str(record.get("level", "info")), text


def _value(value: object) -> str:
    return value if isinstance(value, str) and value and " " not in value else json.dumps(value, ensure_ascii=False)
