"""What the dock says of itself: one JSON document to whoever connects to its status socket."""

import json
import socket
from pathlib import Path

from vault.crypto.canonical_json import Json

TIMEOUT_S = 2.0
ANSWER_MAX_BYTES = 4 << 20


def ask_dock(path: Path | None) -> Json | None:
    """The dock's document; None where none answers in time, or it is not one."""
    if path is None:
        return None
    answer = bytearray()
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
            caller.settimeout(TIMEOUT_S)
            caller.connect(str(path))
            while (block := caller.recv(65536)) and len(answer) < ANSWER_MAX_BYTES:
                answer += block
        document = json.loads(answer)
    except (OSError, ValueError):
        return None
    is_one = isinstance(document, dict) and str(document.get("format", "")).startswith(
        "dockd/status/"
    )
    return document if is_one else None
