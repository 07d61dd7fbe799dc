"""Log lines on stderr: a constant message with its fields beside it, JSON in production.

Fields are what callers pass as `extra`: never a payload, a name or an identity number. Of an
exception the kind and the place are written, not its text, which may quote what was read.
"""

from __future__ import annotations

import json
import logging
import logging.config
import time
import traceback
from typing import Any, Literal

Form = Literal["json", "text"]
# What every LogRecord has of itself; the rest came with `extra`.
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "data"}


class Fields(logging.Formatter):
    """Writes a record with its fields, as JSON or as `name=value`."""

    def __init__(self, form: Form) -> None:
        super().__init__()
        self._form = form

    def format(self, record: logging.LogRecord) -> str:
        fields = {name: value for name, value in vars(record).items() if name not in _OWN}
        if record.exc_info and record.exc_info[0] is not None:
            frames = traceback.extract_tb(record.exc_info[2])[-3:]
            fields["exception"] = record.exc_info[0].__name__
            fields["where"] = " < ".join(f"{f.name}:{f.lineno}" for f in reversed(frames))
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        at += f".{int(record.msecs):03}Z"
        if self._form == "text":
            said = "".join(f" {name}={value}" for name, value in fields.items())
            return f"{at} {record.levelname} {record.name}: {record.getMessage()}{said}"
        line: dict[str, Any] = {"at": at, "level": record.levelname, "logger": record.name}
        line["message"] = record.getMessage()
        return json.dumps(line | fields, ensure_ascii=False, default=str)


def config(form: Form) -> dict[str, Any]:
    """The logging configuration in the form `logging.config.dictConfig` takes."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"fields": {"()": Fields, "form": form}},
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "stream": "ext://sys.stderr",
                "formatter": "fields",
            }
        },
        "root": {"level": "INFO", "handlers": ["stderr"]},
    }


def configure(form: Form) -> None:
    """Send every log line of this process to stderr in one form; call it once, from a command."""
    logging.config.dictConfig(config(form))
