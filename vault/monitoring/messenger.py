"""How a message leaves this machine: by mail, or as a POST to a web address. Each either delivers,
or says what to do.

A message tells of rules, never of a person or a recording, so it may cross a network that is not
ours.
"""

import http.client
import json
import smtplib
import socket
import ssl
import urllib.error
import urllib.request
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Protocol
from urllib.parse import urlsplit

from vault.config import AlertSettings
from vault.crypto.canonical_json import Json
from vault.errors import Reaction, VaultError

LIMIT_S = 30
THIS_MACHINE = ("localhost", "127.0.0.1", "::1")


class NotDelivered(VaultError):
    """A message did not leave. It is kept, and tried again the next time."""

    code = "alerts.not_delivered"
    reaction = Reaction.TRY_AGAIN
    hint = (
        "Look at `[alerts]` in vault.toml, and whether vault-alert.service may reach that address "
        "(IPAddressAllow=)."
    )


@dataclass(frozen=True, slots=True)
class Message:
    """What is told: a line, a text, and the same for a program."""

    subject: str
    text: str
    document: Json


class Channel(Protocol):
    """A way out. `name` is stable: what was told by it is remembered under it."""

    @property
    def name(self) -> str: ...

    def deliver(self, message: Message, now: datetime) -> None:
        """Raises NotDelivered."""


def channels(settings: AlertSettings) -> Sequence[Channel]:
    """Those that the settings name."""
    found: list[Channel] = []
    if settings.mail_to:
        assert settings.mail_from is not None, "the settings were read"
        found += [
            Mail(settings.smtp, settings.mail_from, receiver) for receiver in settings.mail_to
        ]
    if settings.webhook is not None:
        found.append(Webhook(settings.webhook))
    return found


@dataclass(frozen=True, slots=True)
class Mail:
    """To one receiver, over SMTP to a server that relays for this machine: who is refused keeps
    nothing from the others.

    Encrypted where the server offers it (STARTTLS), to a certificate that this machine's
    authorities vouch for; on this machine itself there is no wire to protect, and a mail server's
    certificate seldom bears the name `localhost`.
    """

    server: str
    sender: str
    receiver: str

    @property
    def name(self) -> str:
        return f"mail {self.receiver}"

    def deliver(self, message: Message, now: datetime) -> None:
        host, _, port = self.server.rpartition(":")
        host = host.strip("[]")
        try:
            with smtplib.SMTP(host, int(port), this_machine(), LIMIT_S) as server:
                server.ehlo()
                if server.has_extn("starttls") and host not in THIS_MACHINE:
                    server.starttls(context=ssl.create_default_context())
                server.send_message(self._written(message, now))
        except (OSError, smtplib.SMTPException) as error:
            raise NotDelivered(
                f"The mail server {self.server} did not take the message: {_said(error)}."
            ) from error

    def _written(self, message: Message, now: datetime) -> EmailMessage:
        written = EmailMessage()
        written["From"] = self.sender
        written["To"] = self.receiver
        written["Subject"] = message.subject
        written["Date"] = format_datetime(now)
        written["Message-ID"] = f"<{uuid.uuid4()}@{self.sender.rpartition('@')[2]}>"
        # No answer of an absent receiver's mailbox comes back (RFC 3834).
        written["Auto-Submitted"] = "auto-generated"
        written.set_content(message.text)
        return written


def _said(error: OSError | smtplib.SMTPException) -> str:
    """The server's own words where it had some, in one line; but not who was refused."""
    match error:
        case smtplib.SMTPResponseException():
            words = error.smtp_error
            text = words.decode(errors="replace") if isinstance(words, bytes) else words
            return f"{error.smtp_code} {' '.join(text.split())}"
        case smtplib.SMTPRecipientsRefused():
            return "it refused a receiver of `mail_to`"
    return str(error) or type(error).__name__


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A POST that is sent elsewhere becomes a GET without its content, and would look delivered."""

    def redirect_request(self, *_: object) -> None:
        return None


@dataclass(frozen=True, slots=True)
class Webhook:
    """A POST of the document as JSON. Taken is what is answered with 2xx, without a redirect.

    The address may be a secret of its receiver, so no sentence has more of it than the host.
    """

    address: str
    name: str = "webhook"

    def deliver(self, message: Message, now: datetime) -> None:  # noqa: ARG002 - the document has its time
        headers = {"Content-Type": "application/json", "User-Agent": "dock-vault"}
        request = urllib.request.Request(
            self.address, json.dumps(message.document).encode(), headers, method="POST"
        )
        opener = urllib.request.build_opener(_NoRedirect)
        host = urlsplit(self.address).netloc
        try:
            with opener.open(request, timeout=LIMIT_S):
                return
        except urllib.error.HTTPError as error:
            error.close()
            raise NotDelivered(
                f"{host} answered {error.code} and did not take the message."
            ) from error
        except (OSError, http.client.HTTPException) as error:
            reason = error.reason if isinstance(error, urllib.error.URLError) else error
            raise NotDelivered(f"{host} did not take the message: {reason}.") from error


def this_machine() -> str:
    """What a receiver of messages from several docking PCs knows this one by."""
    return socket.gethostname()
