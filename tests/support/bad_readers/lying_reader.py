"""A reader that fell into wrong hands: it answers the questions of the dock with what its argument
says.

lying_reader.py LIE
"""

import json
import os
import socket
import sys
import time

from dockd.card.contract import CardFile
from dockd.card.mp4_boxes import Fragment
from dockd.card.timeline import SegmentFacts
from dockd.reader.wire import (
    BYTES,
    END,
    FACTS,
    FAILED,
    GIVEN,
    STREAM_BYTES,
    WANTED,
    Line,
    exactly,
    file_words,
)

FILE = file_words(CardFile(("DCIM", "A.MP4"), 8192, 0))
LISTINGS = {
    "no list": {"files": 7, "trouble": []},
    "no file": {"files": [[["A.MP4"], "8192", 0]], "trouble": []},
    "a negative size": {"files": [[["A.MP4"], -1, 0]], "trouble": []},
    "no trouble": {"files": [], "trouble": [[["A"], 1, 2]]},
    "nothing": None,
    "a name without end": {"files": [[["A" * 2000], 1, 0]], "trouble": []},
    "a folder without end": {"files": [[["A"] * 100, 1, 0]], "trouble": []},
    "a tale": {"files": [FILE], "trouble": [[["A"], "c" * 100_000, "s" * 100_000]]},
}


def trickle(connection: socket.socket, content: bytes) -> None:
    """Each byte comes well before anybody would lose patience with it."""
    for byte in content:
        connection.sendall(bytes([byte]))
        time.sleep(0.2)


lie = sys.argv[1]
line = Line(socket.socket(fileno=os.dup(0)))
line.receive_message()
while True:
    question, descriptors = line.receive_message()
    match question["do"]:
        case "card":
            line.send({"ok": {"card": 0, "where": 1 if lie == "where" else "here"}})
        case "files" if lie == "endless":
            line.socket.sendall(b"\xff\xff\xff\xff")
        case "files" if lie == "no JSON":
            line.socket.sendall(b"\0\0\0\x04{{{{")
        case "files" if lie == "deep JSON":
            line.socket.sendall((200_000).to_bytes(4, "big") + b"[" * 200_000)
        case "files" if lie == "descriptors":
            line.send({"ok": {"files": [], "trouble": []}}, 0, 1)
        case "files" if lie == "half a word with descriptors":
            socket.send_fds(line.socket, [b"\0\0"], [0, 1])
            line.close()
        case "files" if lie == "a byte now and then":
            trickle(line.socket, (200).to_bytes(4, "big") + b"{" + b" " * 200)
        case "files" if lie == "an unknown error":
            line.send({"failure": {"code": "vault.full", "sentence": "", "hint": ""}})
        case "files":
            line.send({"ok": LISTINGS.get(lie, {"files": [FILE], "trouble": []})})
        case "open":
            line.send({"ok": True})
            channel, memory = socket.socket(fileno=descriptors[0]), descriptors[1]
            exactly(channel, WANTED.size)
            match lie:
                case "too many bytes":
                    channel.sendall(GIVEN.pack(BYTES, STREAM_BYTES + 1))
                case "a stream's byte now and then":
                    trickle(channel, GIVEN.pack(END, 200) + b" " * 200)
                case "no kind":
                    channel.sendall(GIVEN.pack(9, 1))
                case "no facts":
                    channel.sendall(GIVEN.pack(END, 8) + b'{"a": 1}')
                case "long facts":
                    channel.sendall(GIVEN.pack(END, 2 << 20))
                case "impossible facts":
                    facts = SegmentFacts(
                        8192, None, (), (Fragment(1, 1, 10**4000, 1, True),), None, ()
                    )
                    channel.sendall(GIVEN.pack(END, len(text := FACTS.dump_json(facts))) + text)
                case "a tale":
                    facts = SegmentFacts(8192, None, (), (), None, ("o" * 50_000,) * 20)
                    channel.sendall(GIVEN.pack(END, len(text := FACTS.dump_json(facts))) + text)
                case "no failure":
                    channel.sendall(GIVEN.pack(FAILED, 8) + b'{"a": 1}')
                case "shorter memory":
                    try:
                        os.ftruncate(memory, 0)
                    except PermissionError:
                        channel.sendall(GIVEN.pack(END, 4) + json.dumps(None).encode())
        case _:
            line.send({"ok": True})
