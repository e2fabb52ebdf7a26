"""Messages over real SMTP and HTTP on loopback: what arrives, what is refused, and what is then
said.
"""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import ValidationError

from tests.support.message_servers import certificate, mail_server, web_server
from vault.config import AlertSettings, load_vault_settings
from vault.errors import ConfigurationError, Reaction
from vault.monitoring.messenger import Mail, Message, NotDelivered, Webhook, channels

NOW = datetime(2026, 11, 24, 18, 0, tzinfo=UTC)
MESSAGE = Message(
    "[dock-vault pc] PullFailing began",
    "Eén camera wordt niet ingelezen.\n.\nOne is not.\n",
    {"alerts": ["é"]},
)


pytestmark = pytest.mark.usefixtures("no_proxy")


def test_a_mail_arrives_as_it_was_written() -> None:
    """A dot alone in a line, and a letter that is not ASCII, among it."""
    with mail_server() as server:
        Mail(server.address, "dock@example.org", "beheer@example.org").deliver(MESSAGE, NOW)
    (mail,) = server.mails
    assert (mail["From"], mail["To"], mail["Subject"]) == (
        "dock@example.org",
        "beheer@example.org",
        MESSAGE.subject,
    )
    assert mail["Date"].datetime == NOW
    assert mail["Message-ID"].endswith("@example.org>")
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail.get_content().replace("\r\n", "\n") == MESSAGE.text
    assert server.encrypted == [False]


def test_it_is_encrypted_where_that_is_offered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, authority = certificate(tmp_path, "127.0.0.2")
    with mail_server("127.0.0.2", context) as server:
        mail = Mail(server.address, "dock@example.org", "beheer@example.org")
        with pytest.raises(NotDelivered, match="certificate verify failed"):
            mail.deliver(MESSAGE, NOW)
        assert server.mails == []
        monkeypatch.setenv("SSL_CERT_FILE", str(authority))
        mail.deliver(MESSAGE, NOW)
    assert server.encrypted == [True]


def test_on_this_machine_it_is_not(tmp_path: Path) -> None:
    """A mail server's own certificate seldom names localhost, and there is no wire."""
    context, _ = certificate(tmp_path, "127.0.0.1")
    with mail_server("127.0.0.1", context) as server:
        Mail(
            "localhost:" + server.address.rpartition(":")[2],
            "dock@example.org",
            "beheer@example.org",
        ).deliver(MESSAGE, NOW)
    assert server.encrypted == [False]


def test_a_mail_server_that_does_not_take_it_is_told() -> None:
    with mail_server() as server:
        mail = Mail(server.address, "dock@example.org", "weg@example.org")
        server.refuses.add("weg@example.org")
        with pytest.raises(NotDelivered, match="refused a receiver") as refused:
            mail.deliver(MESSAGE, NOW)
        assert "weg@" not in refused.value.sentence
        server.busy = True
        with pytest.raises(NotDelivered, match="421 busy"):
            mail.deliver(MESSAGE, NOW)
    with pytest.raises(NotDelivered, match="did not take the message") as gone:
        mail.deliver(MESSAGE, NOW)
    assert gone.value.reaction is Reaction.TRY_AGAIN
    assert "IPAddressAllow=" in gone.value.hint


def test_a_post_arrives_as_json() -> None:
    with web_server() as server:
        Webhook(server.address).deliver(MESSAGE, NOW)
    assert server.asked == ["POST /hook application/json"]
    assert server.posts == [{"alerts": ["é"]}]


@pytest.mark.parametrize("status", [302, 403, 500])
def test_a_post_that_is_not_taken_is_told_without_its_secret(status: int) -> None:
    """A redirect would become a GET without the message, and is not followed."""
    with web_server() as server:
        server.status = status
        with pytest.raises(NotDelivered, match=f"answered {status}") as refused:
            Webhook(server.address + "/s3cr3t").deliver(MESSAGE, NOW)
    assert "s3cr3t" not in refused.value.sentence
    assert server.asked == ["POST /hook/s3cr3t application/json"]
    with pytest.raises(NotDelivered, match="refused") as gone:
        Webhook(server.address + "/s3cr3t").deliver(MESSAGE, NOW)
    assert "s3cr3t" not in gone.value.sentence


def test_each_receiver_is_a_way_of_its_own() -> None:
    settings = AlertSettings(
        mail_to=["a@b.nl", "c@d.nl"], mail_from="e@f.nl", webhook="https://chat.example.org/x"
    )
    assert [way.name for way in channels(settings)] == ["mail a@b.nl", "mail c@d.nl", "webhook"]
    assert channels(AlertSettings()) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"mail_to": ["a@b.nl"]},
        {"mail_to": ["a@b.nl\r\nBcc: x@y.nl"], "mail_from": "e@f.nl"},
        {"mail_to": ["Beheer <a@b.nl>"], "mail_from": "e@f.nl"},
        {"mail_to": ["é@b.nl"], "mail_from": "e@f.nl"},
        {"smtp": "mail.example.org"},
        {"smtp": "mail.example.org:99999"},
        {"webhook": "https://chat.example.org:99999/x"},
        {"webhook": "https://chat.example.org/é"},
        {"webhook": "http://chat.example.org/x"},
        {"webhook": "http://localhost.example.org/x"},
        {"webhook": "http://localhost@example.org/x"},
        {"webhook": "https://user:secret@example.org/x"},
        {"webhook": "file:///etc/passwd"},
        {"mail": "a@b.nl"},
    ],
)
def test_settings_that_would_tell_nobody_or_everybody_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        AlertSettings.model_validate(wrong)


@pytest.mark.parametrize(
    "address",
    [
        "https://chat.example.org",
        "https://chat.example.org:8443/x?y=z",
        "http://localhost:9000/x",
        "http://[::1]:9/x",
    ],
)
def test_addresses_that_are_taken(address: str) -> None:
    assert AlertSettings(webhook=address).webhook == address


def test_the_settings_file_says_what_is_missing(tmp_path: Path) -> None:
    config = tmp_path / "vault.toml"
    base = f'root = "{tmp_path}/vault"\npins = "{tmp_path}/pins.json"\n[alerts]\n'
    config.write_text(base + 'mail_to = ["a@b.nl"]\n')
    with pytest.raises(
        ConfigurationError, match="alerts: `mail_to` is given, and `mail_from` is not"
    ):
        load_vault_settings(config)
    config.write_text(base)
    assert load_vault_settings(config).alerts.state == tmp_path / "alerts.json"
