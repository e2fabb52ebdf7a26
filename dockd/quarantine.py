"""Ports at which cameras killed their readers."""

import threading

DEATHS_MAX = 3
"""So many readers may die at one port, with nothing done well between, before nothing is opened there any more."""


class Quarantine:
    """Counts deaths by bay, from docking to docking, until dockd is started anew. Shared by all bays; any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._deaths: dict[str, int] = {}

    def died(self, bay: str) -> None:
        """A reader died there."""
        with self._lock:
            self._deaths[bay] = self._deaths.get(bay, 0) + 1

    def well(self, bay: str) -> None:
        """A camera was served there from start to end."""
        with self._lock:
            self._deaths.pop(bay, None)

    def holds(self, bay: str) -> bool:
        with self._lock:
            return self._deaths.get(bay, 0) >= DEATHS_MAX
