"""What dockd tells the service manager, by the protocol of sd_notify(3).

A datagram of `KEY=value` lines to the socket named by `NOTIFY_SOCKET`. Started by hand there is no
such socket, and every call does nothing.
"""

import contextlib
import socket
from collections.abc import Mapping

MICROSECONDS = 1_000_000


class ServiceManager:
    """systemd, or whoever else gave us a notification socket. One thread speaks to it."""

    def __init__(self, address: str | None, watchdog_s: float | None) -> None:
        self.watchdog_s = watchdog_s
        """The period within which systemd wants a sign of life, or None."""
        self._address = address
        self._socket = (
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            if address
            else None
        )
        if self._socket is not None:
            self._socket.setblocking(False)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str], pid: int) -> "ServiceManager":
        """As the environment says. `WATCHDOG_PID` that names another process means that the
        watchdog is not meant for us.
        """
        address = environment.get("NOTIFY_SOCKET") or None
        if address is not None and address.startswith("@"):
            address = "\0" + address[1:]
        period_text = environment.get("WATCHDOG_USEC", "")
        meant_for_us = environment.get("WATCHDOG_PID", str(pid)) == str(pid)
        period_s = (
            int(period_text) / MICROSECONDS if period_text.isdecimal() and meant_for_us else None
        )
        return cls(address, period_s or None)

    def ready(self) -> None:
        """Recovery is done and detection runs."""
        self._send("READY=1")

    def status(self, sentence: str) -> None:
        """One line for `systemctl status`."""
        self._send("STATUS=" + sentence.replace("\n", " "))

    def alive(self) -> None:
        """A sign of life: to be sent on progress only, never from a timer of its own."""
        self._send("WATCHDOG=1")

    def extend(self, seconds: float) -> None:
        """The start or stop in hand may take this much longer from now on."""
        self._send(f"EXTEND_TIMEOUT_USEC={round(seconds * MICROSECONDS)}")

    def stopping(self) -> None:
        self._send("STOPPING=1")

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()

    def _send(self, message: str) -> None:
        if self._socket is None or self._address is None:
            return
        # A message that does not get through costs a restart at worst, never a recording: systemd
        # misses a sign of life and starts us again. Waiting for it, or failing over it, would cost
        # more.
        with contextlib.suppress(OSError):
            self._socket.sendto(message.encode(errors="replace"), self._address)
