"""Runs in the guest: commands and questions come as JSON lines over a virtio serial port, answers
go back the same way.

A request is `{"id", "command", "timeout"}`, answered with `{"id", "code", "output"}`, or `{"id",
"socket"}`, answered with all that the unix socket says to whoever connects. Each has a thread of
its own. Id 0 is the greeting of an agent that just started.
"""

import json
import os
import socket
import subprocess
import threading
from typing import Any

PORT = "/dev/virtio-ports/agent"
OUTPUT_MAX = 400_000


class Agent:
    def __init__(self) -> None:
        self._port = os.open(PORT, os.O_RDWR)
        self._lock = threading.Lock()

    def serve(self) -> None:
        self._answer({"id": 0, "code": 0, "output": ""})
        pending = b""
        while True:
            # A port without a peer reads as empty at once: the pause keeps a guest that waits for
            # its snapshot quiet.
            block = os.read(self._port, 65536)
            if not block:
                threading.Event().wait(0.05)
            *lines, pending = (pending + block).split(b"\n")
            for line in lines:
                threading.Thread(target=self._do, args=(json.loads(line),), daemon=True).start()

    def _do(self, request: dict[str, Any]) -> None:
        code, output = (
            _ask(request["socket"])
            if "socket" in request
            else _run(request["command"], request["timeout"])
        )
        self._answer(
            {
                "id": request["id"],
                "code": code,
                "output": output[-OUTPUT_MAX:].decode(errors="replace"),
            }
        )

    def _answer(self, answer: dict[str, Any]) -> None:
        rest = json.dumps(answer).encode() + b"\n"
        with self._lock:
            while rest:
                rest = rest[os.write(self._port, rest) :]


def _run(command: str, timeout_s: float) -> tuple[int, bytes]:
    try:
        done = subprocess.run(
            ["bash", "-c", command],
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout_s,
        )
    except subprocess.TimeoutExpired as error:
        return 124, error.stdout or b""
    return done.returncode, done.stdout


def _ask(path: str) -> tuple[int, bytes]:
    answer = bytearray()
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(20)
            connection.connect(path)
            while block := connection.recv(65536):
                answer += block
    except OSError as error:
        return 1, str(error).encode()
    return 0, bytes(answer)


if __name__ == "__main__":
    Agent().serve()
