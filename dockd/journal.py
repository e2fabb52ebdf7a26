"""The log: one JSON object a line on stderr, with the level prefix that journald reads.

No footage, no key material and no person's name goes into it: events carry bays, camera serials,
recording ids of ours, error codes and their sentences.
"""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog

_PREFIX = {"critical": "<2>", "error": "<3>", "warning": "<4>", "info": "<6>", "debug": "<7>"}


class _JournalLines:
    """Renders an event as `<N>{json}`; sd-daemon(3) names the numbers. A traceback stays within its
    line.
    """

    def __init__(self) -> None:
        self._render = structlog.processors.JSONRenderer(sort_keys=True)

    def __call__(self, logger: Any, method: str, event: MutableMapping[str, Any]) -> str:
        prefix = _PREFIX.get(str(event.get("level", "info")), "<6>")
        return prefix + str(self._render(logger, method, event))


def log_to(stream: TextIO, level: str) -> None:
    """Write events of `level` and above to `stream`. Called once, by main."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _JournalLines(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[level.upper()]
        ),
        logger_factory=structlog.WriteLoggerFactory(file=stream),
        cache_logger_on_first_use=False,
    )


def log_to_journal(level: str) -> None:
    """As the daemon does."""
    log_to(sys.stderr, level)
