"""Who is told, when, and how often: a real vault's figures, real servers on loopback, days that the
test lets pass.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.support.message_servers import MailServer, WebServer, mail_server, web_server
from tests.support.office import CAMERA, Office
from vault.__main__ import commands
from vault.errors import StorageFailed
from vault.monitoring.alarms import RULES
from vault.monitoring.alerts import Holding, Notice, Turn, notices, read_state, standing, tell
from vault.monitoring.messenger import Channel, Mail, NotDelivered, Webhook
from vault.monitoring.metrics import CLOSED, figures_of, read_gauges
from vault.operations.verify import verify_daily

pytestmark = pytest.mark.usefixtures("no_proxy")

QUARTER_S = 900


@dataclass
class Watch:
    """The notifier of one office: each round is a run of its timer, a quarter of an hour later. All
    but `rules` is well.
    """

    here: Office
    state: Path
    ways: tuple[Channel, ...]
    changes: dict[str, float] = field(default_factory=dict)

    def figures(self) -> dict[str, float]:
        """The vault's own, with a sound dock and all done lately; then what the test says of the
        world around.
        """
        found = {gauge.name: gauge.value for gauge in read_gauges(self.here.vault)}
        ages = dict.fromkeys([name for name in found if name.endswith("_age_hours")], 0.5)
        return (
            found | ages | {"dock_answers": 1, "units_failed": 0, "unit_restarts": 0} | self.changes
        )

    def round(self, count: int = 1) -> list[tuple[str, str]]:
        """The rule and its turn of all that was told in so many rounds."""
        told: list[Notice] = []
        for _ in range(count):
            self.here.clock.pass_time(QUARTER_S)
            told += tell(self.state, self.ways, self.figures(), self.here.clock.now(), "pc")
        return [(one.rule.name, one.turn.value) for one in told]


@pytest.fixture
def mails() -> Iterator[MailServer]:
    with mail_server() as server:
        yield server


@pytest.fixture
def posts() -> Iterator[WebServer]:
    with web_server() as server:
        yield server


@pytest.fixture
def watch(here: Office, tmp_path: Path, mails: MailServer, posts: WebServer) -> Watch:
    ways = (Mail(mails.address, "dock@example.org", "beheer@example.org"), Webhook(posts.address))
    return Watch(here, tmp_path / "told" / "alerts.json", ways)


def test_where_all_is_well_nothing_is_told(
    watch: Watch, mails: MailServer, posts: WebServer
) -> None:
    assert watch.round(200) == []
    assert (mails.mails, posts.posts) == ([], [])


def test_an_alarm_is_told_when_it_begins_daily_and_when_it_ends(
    watch: Watch, mails: MailServer, posts: WebServer
) -> None:
    watch.changes["bays_faulty"] = 1
    assert watch.round(2) == [], "it has to hold for half an hour"
    assert watch.round() == [("PullFailing", "began")]
    assert watch.round(95) == []
    assert watch.round() == [("PullFailing", "lasts")]
    assert watch.round(96) == [("PullFailing", "lasts")]
    watch.changes.clear()
    assert watch.round() == [("PullFailing", "ended")]
    assert watch.round(200) == []
    assert [mail["Subject"] for mail in mails.mails] == [
        "[dock-vault pc] PullFailing began",
        "[dock-vault pc] PullFailing lasts",
        "[dock-vault pc] PullFailing lasts",
        "[dock-vault pc] PullFailing ended",
    ]
    assert [[one["state"] for one in post["alerts"]] for post in posts.posts] == [
        ["began"],
        ["lasts"],
        ["lasts"],
        ["ended"],
    ]


def test_a_condition_that_comes_and_goes_is_not_told(watch: Watch) -> None:
    for _ in range(20):
        watch.changes["bays_faulty"] = 1
        assert watch.round(2) == []
        watch.changes.clear()
        assert watch.round() == []


def test_the_time_that_the_machine_was_off_counts_for_nothing(watch: Watch) -> None:
    """The dock did not answer when it was switched off, and does not yet when it is on again."""
    watch.changes["dock_answers"] = 0
    assert watch.round() == []
    watch.here.days(2)
    assert watch.round() == []
    assert watch.round() == [("DockDoesNotAnswer", "began")]


def test_a_clock_that_was_ahead_silences_nothing(watch: Watch) -> None:
    watch.changes["bays_faulty"] = 1
    watch.here.days(400)
    assert watch.round(3) == [("PullFailing", "began")]
    watch.here.days(-400)
    assert watch.round() == [("PullFailing", "lasts")]
    assert watch.round(95) == []


def test_a_message_says_what_to_do_in_both_languages_and_names_nobody(
    watch: Watch, mails: MailServer, posts: WebServer
) -> None:
    """With a recording, its officer and a case in the vault, and a camera that is overdue."""
    recording = watch.here.record()
    verify_daily(watch.here.vault, lambda _: None, ["file.altered"])
    watch.changes["cameras_overdue"] = 1
    watch.round(8)
    text = "".join(mails.texts()) + json.dumps(posts.posts, ensure_ascii=False)
    for rule in (one for one in RULES if one.name in ("VerifyFailing", "CameraOverdue")):
        assert all(
            word in text
            for word in (rule.summary.nl, rule.summary.en, rule.action.nl, rule.action.en)
        )
    assert "CRITICAL VerifyFailing began" in mails.mails[0]["Subject"]
    assert not any(
        word in text for word in (*watch.here.secrets, recording, recording[:8], CAMERA, "boa-17")
    )


def test_nothing_is_lost_by_a_delivery_that_fails_and_nothing_is_told_twice(
    watch: Watch, mails: MailServer, posts: WebServer
) -> None:
    """The mail server is away, and the other channel is told once; then the mail server is back,
    and the other one away.
    """
    mails.busy = True
    watch.changes["bays_faulty"] = 1
    watch.round(2)
    for _ in range(3):
        with pytest.raises(NotDelivered, match="421 busy"):
            watch.round()
    watch.changes["free_bytes"] = 0
    with pytest.raises(NotDelivered):
        watch.round()
    assert (len(mails.mails), len(posts.posts)) == (0, 1)
    mails.busy = False
    assert watch.round() == [("PullFailing", "began"), ("DiskNearlyFull", "began")]
    assert [mail["Subject"] for mail in mails.mails] == [
        "[dock-vault pc] CRITICAL PullFailing began, DiskNearlyFull began"
    ]
    assert [[(one["alert"], one["state"]) for one in post["alerts"]] for post in posts.posts] == [
        [("PullFailing", "began")],
        [("DiskNearlyFull", "began")],
    ]
    posts.status = 500
    watch.changes.clear()
    for _ in range(2):
        with pytest.raises(NotDelivered, match="answered 500"):
            watch.round()
    posts.status = 204
    watch.round()
    assert [mail["Subject"] for mail in mails.mails[1:]] == [
        "[dock-vault pc] PullFailing ended, DiskNearlyFull ended"
    ]
    assert [(one["alert"], one["state"]) for one in posts.posts[-1]["alerts"]] == [
        ("PullFailing", "ended"),
        ("DiskNearlyFull", "ended"),
    ]


def test_an_alarm_that_begins_and_ends_untold_is_no_message(
    watch: Watch, mails: MailServer, posts: WebServer
) -> None:
    mails.busy, posts.status = True, 500
    watch.changes["bays_faulty"] = 1
    watch.round(2)
    with pytest.raises(NotDelivered, match=r"421 busy.* answered 500"):
        watch.round()
    watch.changes.clear()
    assert watch.round(4) == []


def test_a_vault_that_does_not_open_is_an_alarm_and_ends_no_other(
    watch: Watch, mails: MailServer
) -> None:
    watch.changes["bays_faulty"] = 1
    watch.round(3)
    (watch.here.settings.root / "keyring.json").rename(watch.here.settings.root / "away.json")
    closed = figures_of(watch.here.settings, watch.here.clock)
    assert closed == {gauge.name: gauge.value for gauge in CLOSED} == {"opens": 0}
    for _ in range(2):
        watch.here.clock.pass_time(QUARTER_S)
        told = tell(watch.state, watch.ways, closed, watch.here.clock.now(), "pc")
    assert [(one.rule.name, one.turn) for one in told] == [("VaultDoesNotOpen", Turn.BEGAN)]
    (watch.here.settings.root / "away.json").rename(watch.here.settings.root / "keyring.json")
    assert figures_of(watch.here.settings, watch.here.clock)["opens"] == 1
    assert watch.round() == [("VaultDoesNotOpen", "ended")]
    assert [mail["Subject"].rpartition("] ")[2] for mail in mails.mails] == [
        "PullFailing began",
        "CRITICAL VaultDoesNotOpen began",
        "VaultDoesNotOpen ended",
    ]


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"{}", b'{"format": "dock-vault/alert-state/1", "looked_utc": 1}']
)
def test_a_file_that_is_none_of_ours_is_told_anew(watch: Watch, content: bytes) -> None:
    watch.changes["bays_faulty"] = 1
    watch.round(3)
    watch.state.write_bytes(content)
    assert watch.round(2) == []
    assert watch.round() == [("PullFailing", "began")]


def test_a_run_that_was_killed_while_it_wrote_stops_no_other(watch: Watch) -> None:
    watch.changes["bays_faulty"] = 1
    watch.round(2)
    watch.state.with_name(".alerts.json.part").write_bytes(b"{")
    assert watch.round() == [("PullFailing", "began")]
    assert [path.name for path in watch.state.parent.iterdir()] == ["alerts.json"]
    assert set(read_state(watch.state).told) == {"mail beheer@example.org", "webhook"}


def test_what_could_not_be_remembered_is_told_again(watch: Watch, mails: MailServer) -> None:
    """The message went out, and the file could not be written: twice is better than never."""
    watch.changes["bays_faulty"] = 1
    watch.round(2)
    part = watch.state.with_name(".alerts.json.part")
    part.mkdir()
    with pytest.raises(StorageFailed):
        watch.round()
    part.rmdir()
    assert watch.round() == [("PullFailing", "began")]
    assert [mail["Subject"] for mail in mails.mails] == ["[dock-vault pc] PullFailing began"] * 2


def test_which_moment_tells_what(watch: Watch) -> None:
    """The bare decision, at its bounds: `lasting` reached exactly, a day to the millisecond, and a
    look that is too late.
    """
    now = watch.here.clock.now()
    (rule,) = (one for one in RULES if one.name == "PullFailing")

    def turns(held_s: float, last: str | None) -> list[Turn]:
        held = {rule.name: Holding("2026-11-23T17:00:00.000Z", held_s)}
        return [one.turn for one in notices(held, {rule.name: last} if last else {}, now)]

    assert turns(1799.9, None) == []
    assert turns(1800, None) == [Turn.BEGAN]
    assert turns(9e9, "2026-11-22T19:00:00.001Z") == []
    assert turns(9e9, "2026-11-22T19:00:00.000Z") == [Turn.LASTS]
    assert notices({}, {}, now) == []
    before = standing(read_state(watch.state), {"bays_faulty": 1}, now)
    assert before == {rule.name: Holding("2026-11-23T19:00:00.000Z", 0.0)}


def run(config: Path, *words: str) -> tuple[int, str]:
    done = CliRunner().invoke(commands, ["alert", *words, "--config", str(config)])
    return done.exit_code, done.output if done.exception is None else str(done.exception)


def test_the_command_as_the_timer_calls_it(
    here: Office, tmp_path: Path, mails: MailServer, posts: WebServer
) -> None:
    config = tmp_path / "vault.toml"
    base = f'root = "{here.settings.root}"\npins = "{here.settings.pins}"\nreserve_mb = 1\n'
    config.write_text(base)
    assert run(config) == (
        0,
        "Nobody is told of alarms: name `mail_to` or `webhook` under [alerts] in vault.toml.\n",
    )
    assert not (tmp_path / "alerts.json").exists()
    named = (
        f'mail_to = ["beheer@example.org"]\nmail_from = "dock@example.org"\nsmtp = '
        f'"{mails.address}"\n'
    )
    config.write_text(
        f'{base}[alerts]\n{named}webhook = "{posts.address}"\nstate = "kept/alerts.json"\n'
    )
    assert run(config, "--try") == (0, "The message was taken.\n")
    assert "nothing is wrong" in mails.texts()[0]
    assert posts.posts[0]["alerts"] == []
    assert run(config) == (0, "There is nothing new to tell.\n")
    assert "DockDoesNotAnswer" in read_state(tmp_path / "kept" / "alerts.json").holding
    posts.status = 500
    code, said = run(config, "--try")
    assert code == 1
    assert "[alerts.not_delivered]" in said
