"""Runs in the guest: a person's browser at the back office, without a browser. What it was shown it
tells to the world outside.

usage: viewer.py sign-in NAME PASSPHRASE
       viewer.py watch VIEWING RECORDING SEGMENTS NAME PASSPHRASE SECOND PASSPHRASE CONDITION...
"""

import http.client
import json
import re
import socket
import sys
import urllib.parse
from pathlib import Path

OFFICE = ("127.0.0.1", 8480)
ORIGIN = "http://localhost:8480"
COOKIE = Path("/run/viewer.cookie")
HOST, PORT = "10.0.2.2", Path("/run/outside")


def ask(method: str, path: str, body: str | None = None) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection(*OFFICE, timeout=120)
    headers = {"Host": "localhost:8480", "Origin": ORIGIN, "Accept": "text/html"}
    if COOKIE.exists():
        headers["Cookie"] = COOKIE.read_text()
    if body is not None:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    content = answer.read()
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}, content


def send(path: str, fields: list[tuple[str, str]]) -> dict[str, str]:
    _, _, page = ask("GET", "/me")
    if token := re.search(rb'name="csrf" value="([^"]+)"', page):
        fields = [*fields, ("csrf", token.group(1).decode())]
    status, headers, content = ask("POST", path, urllib.parse.urlencode(fields))
    if status != 303:
        sys.exit(f"{path} answered {status}: {content[-2000:].decode(errors='replace')}")
    return headers


def tell(word: str, content: bytes) -> None:
    with socket.create_connection((HOST, int(PORT.read_text()))) as connection:
        connection.sendall(word.encode() + b"\n" + content)
        connection.shutdown(socket.SHUT_WR)
        connection.recv(16)


def sign_in(name: str, passphrase: str) -> None:
    COOKIE.unlink(missing_ok=True)
    headers = send("/sign-in", [("person", name), ("passphrase", passphrase)])
    COOKIE.write_text(headers["set-cookie"].partition(";")[0])


def watch(viewing: str, recording: str, segments: int, proof: list[tuple[str, str]]) -> None:
    """Both unlock at this screen, every piece is asked for, and they leave."""
    send(f"/viewings/{viewing}/unlock", proof)
    for name in ("init.mp4", *(f"{at}.m4s" for at in range(segments))):
        status, _, content = ask("GET", f"/viewings/{viewing}/{recording}/{name}")
        if status != 200:
            sys.exit(f"{name} answered {status}: {content[-2000:].decode(errors='replace')}")
        told = {
            "viewing": viewing,
            "recording": recording,
            "name": name,
            "size_bytes": len(content),
        }
        tell("shown", json.dumps(told).encode())
    send(f"/viewings/{viewing}/leave", [])


if __name__ == "__main__":
    if sys.argv[1] == "sign-in":
        sign_in(*sys.argv[2:])
    else:
        viewing, recording, segments, name, passphrase, second, second_passphrase, *conditions = (
            sys.argv[2:]
        )
        proof = [("confirm", one) for one in conditions] + [("passphrase", passphrase)]
        watch(
            viewing,
            recording,
            int(segments),
            [*proof, ("second", second), ("second_passphrase", second_passphrase)],
        )
