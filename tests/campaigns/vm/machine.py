"""One virtual machine: QEMU as a process, steered over QMP, with the guest's agent at a virtio
serial port.

Every wait is bounded, and what a wait was for stands in the exception, with the end of what QEMU
and the guest's console said.
"""

import contextlib
import json
import socket
import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.campaigns.vm.hardware import Hardware

STARTED_S = 30.0
HANDSHAKE_S = 10.0
MOVED_S = 120.0
ASKED_EVERY_S = 0.02
GREETING = 0
"""The id under which an agent that has just started says so."""


class MachineFailed(Exception):
    """The machine or its guest did not do what was asked of it."""


@dataclass(frozen=True, slots=True)
class Done:
    """What a command in the guest said, error output and all, and how it ended."""

    code: int
    output: str


class Machine:
    """A running machine, from its start to `kill`. Several threads may run commands in the guest at
    once.

    `folder` takes the channels and what QEMU and the console say; its path must be short, as
    sockets stand in it.
    """

    def __init__(self, hardware: Hardware, folder: Path, disk: Path, *more: str) -> None:
        self._folder = folder
        self._names = iter(range(1, 1 << 30))
        self._changed = threading.Condition()
        self._answers: dict[int, dict[str, Any]] = {}
        self._returns: list[dict[str, Any]] = []
        self._events: list[dict[str, Any]] = []
        self._asking = threading.Lock()
        with (folder / "qemu").open("wb") as said:
            self._process = subprocess.Popen(
                ["qemu-system-x86_64", *hardware.words(disk, folder), *more],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
            )
        try:
            self._agent = self._channel("agent", self._hear_agent)
            self._qmp = self._channel("qmp", self._hear_qmp)
            self.qmp("qmp_capabilities")
        except BaseException:
            self.kill()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()

    def kill(self) -> None:
        """Cut the power."""
        self._process.kill()
        self._process.wait()
        # Whoever waits may have asked while the process was being waited for here, and was not told
        # of its end.
        with self._changed:
            self._changed.notify_all()

    def quit(self) -> None:
        """End QEMU by its own word: all that it holds in memory is written to its images first."""
        self.qmp("quit")
        self._process.wait(timeout=STARTED_S)

    def migrate(self, stream: Path) -> None:
        """Write the memory of a machine that stands still to a file, from which another one can go
        on.
        """
        self.qmp("migrate-set-parameters", **{"max-bandwidth": 1 << 40})
        self.qmp("migrate", uri=f"exec:cat >{stream}")
        self._until(
            lambda: str(self.qmp("query-migrate").get("status")) == "completed", "the migration"
        )

    def wait_incoming(self) -> None:
        """Until the memory of another machine has come in (`-incoming`); then go on where that one
        stood.
        """
        self._until(
            lambda: self.qmp("query-status")["status"] != "inmigrate", "the incoming memory"
        )
        self.qmp("cont")

    def wait_ended(self, timeout_s: float) -> None:
        """Until the guest has switched itself off."""
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired as error:
            raise MachineFailed(
                f"the guest did not switch itself off within {timeout_s:.0f} s"
            ) from error

    def wait_for_agent(self, timeout_s: float) -> None:
        """Until the guest's agent has started."""
        self._wait(lambda: self._answers.pop(GREETING, None), timeout_s, "the guest's agent")

    def run(self, command: str, timeout_s: float = 60) -> Done:
        """A line of bash in the guest, as root, to its end. `code` is 124 where it took longer."""
        answer = self._ask({"command": command, "timeout": timeout_s}, timeout_s, command)
        return Done(answer["code"], answer["output"].strip())

    def must(self, command: str, timeout_s: float = 60) -> str:
        """What a line of bash said that has to end with 0. Raises MachineFailed."""
        done = self.run(command, timeout_s)
        if done.code:
            raise MachineFailed(
                f"in the guest `{command}` ended with {done.code}: {done.output[-2000:]}"
            )
        return done.output

    def hear(self, socket_path: str) -> str | None:
        """What a unix socket in the guest says to whoever connects; None where nobody answers."""
        answer = self._ask({"socket": socket_path}, 30, socket_path)
        return None if answer["code"] else str(answer["output"])

    def qmp(self, command: str, **arguments: Any) -> Any:
        """A command to QEMU itself. Raises MachineFailed with QEMU's own sentence."""
        with self._asking:
            self._qmp.sendall(
                json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n"
            )
            answer = self._wait(
                lambda: self._returns.pop(0) if self._returns else None, 120, command
            )
        if "error" in answer:
            raise MachineFailed(f"QEMU refused {command} {arguments}: {answer['error']['desc']}")
        return answer["return"]

    def monitor(self, line: str) -> str:
        """A line to QEMU's monitor for people, for what QMP lacks. Raises MachineFailed where it
        says anything.
        """
        said = str(self.qmp("human-monitor-command", **{"command-line": line})).strip()
        if said and said != "OK":
            raise MachineFailed(f"QEMU's monitor said to `{line}`: {said}")
        return said

    def plug(self, driver: str, name: str, **properties: Any) -> None:
        """Add a device."""
        self.qmp("device_add", driver=driver, id=name, **properties)

    def unplug(self, name: str) -> None:
        """Take a device out. The guest is not asked, and is not waited for."""
        self.qmp("device_del", id=name)

    def wait_unplugged(self, name: str, timeout_s: float = 30) -> None:
        """Until QEMU has let go of the device, so that its name and its drive may be used anew."""

        def gone() -> dict[str, Any] | None:
            found = (
                event
                for event in self._events
                if event["event"] == "DEVICE_DELETED" and event["data"].get("device") == name
            )
            return next(found, None)

        self._events.remove(self._wait(gone, timeout_s, f"the removal of {name}"))

    def last_words(self) -> str:
        """The end of what QEMU and the guest's console said."""
        said = []
        for name in ("qemu", "console"):
            path = self._folder / name
            text = path.read_text(errors="replace")[-3000:].strip() if path.exists() else ""
            said.append(f"--- {name}\n{text}")
        return "\n".join(said)

    def _ask(self, question: dict[str, Any], timeout_s: float, what: str) -> dict[str, Any]:
        with self._asking:
            name = next(self._names)
            self._agent.sendall(json.dumps({"id": name, **question}).encode() + b"\n")
        return self._wait(lambda: self._answers.pop(name, None), timeout_s + HANDSHAKE_S, what)

    def _until(self, holds: Callable[[], bool], what: str) -> None:
        """For what QEMU tells only when it is asked."""
        pause = threading.Event()
        for _ in range(int(MOVED_S / ASKED_EVERY_S)):
            if holds():
                return
            pause.wait(ASKED_EVERY_S)
        raise MachineFailed(
            f"{what}: it did not come to its end in {MOVED_S:.0f} s: {self.last_words()}"
        )

    def _wait(
        self, found: Callable[[], dict[str, Any] | None], timeout_s: float, what: str
    ) -> dict[str, Any]:
        """What `found` finds, asked anew with each message. QEMU's end wakes every waiter."""
        answer: dict[str, Any] | None = None

        def settled() -> bool:
            nonlocal answer
            answer = found()
            return answer is not None or self._process.poll() is not None

        with self._changed:
            self._changed.wait_for(settled, timeout_s)
        if answer is None:
            ended = self._process.poll()
            why = "nothing came in time" if ended is None else f"QEMU ended with {ended}"
            raise MachineFailed(f"{what}: {why}")
        return answer

    def _channel(self, name: str, hear: Callable[[dict[str, Any]], None]) -> socket.socket:
        """Connected to QEMU, whose sockets appear a moment after its start, with a thread that
        reads line by line.
        """
        channel = socket.socket(socket.AF_UNIX)
        pause = threading.Event()
        for _ in range(int(STARTED_S / 0.01)):
            if self._process.poll() is not None:
                break
            try:
                channel.connect(str(self._folder / name))
            except (FileNotFoundError, ConnectionRefusedError):
                pause.wait(0.01)
                continue
            threading.Thread(target=self._listen, args=(channel, hear), daemon=True).start()
            return channel
        channel.close()
        raise MachineFailed(f"QEMU did not start: {self.last_words()}")

    def _listen(self, channel: socket.socket, hear: Callable[[dict[str, Any]], None]) -> None:
        # A QEMU that is killed may leave what nobody has read: the connection is then reset, not
        # ended.
        with channel, channel.makefile("rb") as lines, contextlib.suppress(ConnectionResetError):
            for line in lines:
                message = json.loads(line)
                with self._changed:
                    hear(message)
                    self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()

    def _hear_agent(self, message: dict[str, Any]) -> None:
        self._answers[message["id"]] = message

    def _hear_qmp(self, message: dict[str, Any]) -> None:
        if "event" in message:
            self._events.append(message)
        elif "QMP" not in message:
            self._returns.append(message)
