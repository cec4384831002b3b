"""The log of a service: a JSON object a line, with time, level, and what a message is about."""

import json
import logging
from datetime import UTC, datetime

logger = logging.getLogger("dqh.service")


class JSONLines(logging.Formatter):
    """A record as one line of JSON; fields of their own are given as `extra={"fields": {…}}`."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        when = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        told = {"time": when, "level": record.levelname.lower(), "logger": record.name, "message": record.getMessage()}
        told |= getattr(record, "fields", {})
        if record.exc_info:
            told["traceback"] = self.formatException(record.exc_info)
        return json.dumps(told)


def write_json_lines() -> None:
    """Let all handlers of the root logger write JSON lines."""
    for handler in logging.getLogger().handlers:
        handler.setFormatter(JSONLines())
