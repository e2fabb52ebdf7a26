"""Who takes messages, on loopback: a mail server that speaks SMTP, and a web server that takes a
POST; each in threads.
"""

import datetime
import ipaddress
import json
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass
class MailServer:
    """What came in. `refuses`: addresses that it does not relay to; `busy`: it
    takes nothing now.
    """

    address: str
    tls: ssl.SSLContext | None = None
    refuses: set[str] = field(default_factory=set)
    busy: bool = False
    mails: list[EmailMessage] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)

    def texts(self) -> list[str]:
        return [mail.get_content() for mail in self.mails]


@contextmanager
def mail_server(host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> Iterator[MailServer]:
    """A server on a free port of `host`; with `tls` it offers STARTTLS."""
    kept = MailServer("", tls)

    class Talk(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self._say("421 busy" if kept.busy else "220 here")
            encrypted = False
            receivers: list[str] = []
            while line := self.rfile.readline().decode().rstrip("\r\n"):
                verb, argument = line[:4].upper(), line.partition(":")[2].strip("<> ")
                if verb == "EHLO":
                    self._say(
                        "250-here", "250 STARTTLS" if kept.tls and not encrypted else "250 8BITMIME"
                    )
                elif verb == "STAR" and kept.tls:
                    self._say("220 go on")
                    self.connection = kept.tls.wrap_socket(self.connection, server_side=True)
                    self.rfile, encrypted = self.connection.makefile("rb"), True
                elif verb == "RCPT" and argument in kept.refuses:
                    self._say("550 not here")
                elif verb == "DATA" and receivers:
                    self._say("354 go on")
                    # RFC 5321, 4.5.2: a line that begins with a dot came with one more.
                    lines = iter(self.rfile.readline, b".\r\n")
                    content = b"".join(line.removeprefix(b".") for line in lines)
                    mail = message_from_bytes(content, policy=default)
                    assert isinstance(mail, EmailMessage)
                    kept.mails.append(mail)
                    kept.encrypted.append(encrypted)
                    self._say("250 taken")
                elif verb == "QUIT":
                    self._say("221 bye")
                    break
                else:
                    receivers += [argument] if verb == "RCPT" else []
                    self._say("250 well")
            self.rfile.close()
            self.connection.close()

        def _say(self, *lines: str) -> None:
            self.connection.sendall("".join(f"{line}\r\n" for line in lines).encode())

    class Server(socketserver.ThreadingTCPServer):
        def handle_error(self, *_: object) -> None:
            """Who hangs up in the middle is no error of the server's."""

    with Server((host, 0), Talk) as server, _running(server):
        kept.address = f"{host}:{server.server_address[1]}"
        yield kept


@dataclass
class WebServer:
    """What was posted, and with what the next POST is answered."""

    address: str
    status: int = 204
    posts: list[dict[str, Any]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)


@contextmanager
def web_server() -> Iterator[WebServer]:
    kept = WebServer("")

    class Talk(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            kept.asked.append(f"POST {self.path} {self.headers['Content-Type']}")
            if kept.status == 204:
                kept.posts.append(json.loads(content))
            self.send_response(kept.status)
            if kept.status == 302:
                self.send_header("Location", "/elsewhere")
            self.end_headers()

        def do_GET(self) -> None:
            kept.asked.append(f"GET {self.path}")
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Not on the tests' output."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Talk) as server, _running(server):
        kept.address = f"http://127.0.0.1:{server.server_address[1]}/hook"
        yield kept


@contextmanager
def _running(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()


def certificate(folder: Path, host: str) -> tuple[ssl.SSLContext, Path]:
    """A server's side of TLS for an address, and the file of the authority that vouches for it:
    itself.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    authority, private = folder / "authority.pem", folder / "server.key"
    authority.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    form = serialization.PrivateFormat.PKCS8
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority, private)
    return context, authority
