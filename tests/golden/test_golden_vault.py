"""A vault of version 0.1.0: this program upgrades, opens, verifies, shows and sweeps it.

`make_vault_0_1_0.py` made it once. `vault-0.1.0.json` holds what is known of it from then.
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.golden.golden import (
    DESTROYED,
    FACTS,
    RECORDINGS,
    STANDING,
    Golden,
    id_of,
    ids_of,
    unpacked,
)
from vault.clock import utc_moment, utc_text
from vault.custody.people import actor, sign_in, sign_in_by_device
from vault.custody.retention.sweep import sweep
from vault.custody.viewing.viewing_requests import request
from vault.custody.viewing.viewing_session import Session, Span, open_viewing
from vault.rules.purposes import Purpose

CONDITIONS = ("location", "nobody_else", "no_copy", "not_appraisal")


@pytest.fixture
def golden(tmp_path: Path) -> Golden:
    """As it was when version 0.1.0 left it."""
    return unpacked(tmp_path / "golden")


@pytest.fixture
def upgraded(golden: Golden) -> Golden:
    """As an upgrade of the program leaves it."""
    golden.done("migrate")
    return golden


# --- opens, upgrades, verifies -------------------------------------------------------------------


def test_it_upgrades_once_and_opens(golden: Golden) -> None:
    """`vault migrate`, which an upgrade runs, brings it to this program's schema, once."""
    golden.done("migrate")
    catalogue = golden.root / "catalogue/catalogue.db"
    once = catalogue.read_bytes()
    golden.done("migrate")
    assert catalogue.read_bytes() == once
    with golden.open() as vault:
        assert vault.id == FACTS["vault"]
        assert vault.keyring.version == FACTS["keyring_version"]


def test_every_stored_file_stays_byte_for_byte(golden: Golden) -> None:
    """Upgrade, verify, list, show: old files stay, the log's lines go on, only heads join them."""
    before = golden.files()
    golden.done("migrate")
    golden.done("verify")
    golden.listed("list")
    golden.listed("log")
    with opened(golden, FACTS["known"]["waiting"], "Carel", "Geert") as session:
        session.show(Span(id_of("shown"), "0000.sealed", 0, 100))
    after = golden.files()
    assert before.keys() <= after.keys()
    for name, content in before.items():
        if name.startswith("register/log/"):
            assert after[name].startswith(content), name
            assert len(after[name]) > len(content), name
        else:
            assert after[name] == content, name
    assert {name.split("/")[0] for name in after.keys() - before.keys()} == {"checkpoints"}


def test_it_verifies(upgraded: Golden) -> None:
    told = upgraded.done("verify")
    assert f"{len(STANDING)} recordings" in told
    assert f"{FACTS['log']['entries']} log entries" in told


def test_its_log_goes_on_from_what_the_witness_holds(upgraded: Golden) -> None:
    """The witness's note and the newest heads hold by the log's key, older ones by its first."""
    notes = sorted(upgraded.root.glob("checkpoints/*.note"))
    changed = next(
        one["sequence"] for one in upgraded.leaves() if one["action"] == "log.key_changed"
    )
    early = [note for note in notes if int(note.stem) <= changed]
    late = [note for note in notes if int(note.stem) > changed]
    assert early
    assert late
    kept = upgraded.folder / FACTS["note"]["file"]
    # The last head before the change bears both signatures.
    for key, held in (("key", [early[-1], kept, *late]), ("first_key", early)):
        since = [word for note in held for word in ("--since", note)]
        upgraded.done("verify", *since, "--key", FACTS["log"][key])
    assert (
        upgraded.type("verify", "--since", kept, "--key", FACTS["log"]["first_key"]).exit_code != 0
    )


def test_what_was_altered_since_is_found(upgraded: Golden) -> None:
    (sealed,) = upgraded.root.glob(f"footage/*/*/{id_of('held')}/0001.sealed")
    content = bytearray(sealed.read_bytes())
    content[700] ^= 1
    sealed.write_bytes(content)
    result = upgraded.type("verify")
    assert result.exit_code == 1
    assert "file.altered" in result.stderr
    assert id_of("held") in result.stderr


# --- shows ---------------------------------------------------------------------------------------


@contextmanager
def opened(golden: Golden, viewing_id: str, first: str, second: str) -> Iterator[Session]:
    """A viewing of two who prove themselves by their passphrases."""
    with golden.open() as vault:
        one, other = (
            sign_in(vault, name, FACTS["persons"][name]["passphrase"]) for name in (first, second)
        )
        with open_viewing(vault, viewing_id, one, other, CONDITIONS) as session:
            yield session


def seen(session: Session, label: str) -> dict[str, str]:
    """The SHA-256 of everything that two see of a recording, by sealed name."""
    parts = session.files(id_of(label))
    shown = {
        part.sealed_name: session.show(Span(id_of(label), part.sealed_name, 0, part.size_bytes))
        for part in parts
    }
    return {name: hashlib.sha256(content).hexdigest() for name, content in shown.items()}


def test_everybody_proves_themselves_and_has_their_role(upgraded: Golden) -> None:
    with upgraded.open() as vault:
        for name, known in FACTS["persons"].items():
            found = sign_in(vault, name, known["passphrase"]).actor
            assert (found.person, sorted(role.value for role in found.roles)) == (
                known["id"],
                known["roles"],
            )
        key = FACTS["security_key"]
        device = bytes.fromhex(key["credential"]), bytes.fromhex(key["answer"])
        assert sign_in_by_device(vault, key["person"], *device).actor.name == key["person"]
    assert {role for known in FACTS["persons"].values() for role in known["roles"]} == {
        "BC",
        "CM",
        "GS",
        "MW",
        "PO",
        "TB",
        "VC",
    }


def test_two_officials_see_a_recording_byte_for_byte(upgraded: Golden) -> None:
    """This program opens a request of then: every byte, the signature, the player's time line."""
    with opened(upgraded, FACTS["known"]["waiting"], "Carel", "Geert") as session:
        assert seen(session, "shown") == RECORDINGS["shown"]["plaintext_sha256"]
        manifest = session.manifest(id_of("shown"))
        assert manifest is not None
        assert manifest.holds
        reel = session.reel(id_of("shown"))
        assert (len(reel.files), reel.gaps) == (2, ())
        assert reel.init_bytes


def test_a_pair_that_joined_later_sees_it(upgraded: Golden) -> None:
    """The officer who is on it, with the coordinator: their keys stand in keys-1.json."""
    assert list(upgraded.root.glob(f"footage/*/*/{id_of('held')}/keys-1.json"))
    with opened(upgraded, FACTS["known"]["to be learned"], "Nel", "Bea") as session:
        assert seen(session, "held") == RECORDINGS["held"]["plaintext_sha256"]


def test_recordings_under_an_older_key_of_a_function_show(upgraded: Golden) -> None:
    """The privacy officer's key was replaced after these were taken in."""
    with upgraded.open() as vault:
        petra = actor(vault, FACTS["persons"]["Petra"]["id"])
        case = FACTS["cases"]["PL-2026-100"]
        wanted = [id_of(label) for label in case["holds"]]
        asked = request(vault, petra, Purpose.POLICE_REPORT, wanted, case=case["id"], reason="")
    with opened(upgraded, asked, "Petra", "Vera") as session:
        assert {label: seen(session, label) for label in case["holds"]} == {
            label: RECORDINGS[label]["plaintext_sha256"] for label in ("held", "claimed")
        }


@pytest.mark.parametrize("label", STANDING)
def test_both_escrow_codes_open_it(upgraded: Golden, label: str) -> None:
    place = upgraded.folder / "opened"
    upgraded.done("open", id_of(label)[:8], "-o", place, typed=tuple(FACTS["escrow"].values()))
    found = sorted(hashlib.sha256(path.read_bytes()).hexdigest() for path in place.iterdir())
    assert found == sorted(RECORDINGS[label]["plaintext_sha256"].values())


# --- lists ---------------------------------------------------------------------------------------


def test_its_recordings_are_listed(upgraded: Golden) -> None:
    rows = {row["id"]: row for row in upgraded.listed("list")}
    assert rows.keys() == ids_of(STANDING)
    for label in STANDING:
        known, row = RECORDINGS[label], rows[id_of(label)]
        assert (row["camera_serial"], row["name"], bool(row["proven"]), row["state"]) == (
            known["camera"],
            known["name"],
            known["proven"],
            known["state"],
        )
    assert [label for label in STANDING if not RECORDINGS[label]["proven"]] == ["unproven"]


def test_why_tells_what_keeps_each_and_what_ended_it(upgraded: Golden) -> None:
    told = {label: upgraded.listed("why", id_of(label)[:8])[0] for label in RECORDINGS}
    held = {label for label in STANDING if RECORDINGS[label]["held"]}
    assert {label for label in STANDING if told[label]["due"]["due"] is None} == held
    assert all(told[label]["due"] is None for label in DESTROYED)
    assert told["due"]["due"]["due"] == "2026-10-10T18:00:00.000Z"
    assert "PL-2026-100" in told["held"]["en"]
    assert "privacy officer" in told["deleted"]["en"]
    assert [told[label]["regime"] for label in ("demanded", "shown")] == ["Wpg", "AVG"]


def test_its_cases_are_listed_with_their_texts(upgraded: Golden) -> None:
    rows = {row["reference"]: row for row in upgraded.listed("case", "list", "--all")}
    assert {
        reference: (row["id"], row["kind"], row["closed_utc"] is not None)
        for reference, row in rows.items()
    } == {
        reference: (known["id"], known["kind"], known["closed"])
        for reference, known in FACTS["cases"].items()
    }
    still_open = {row["reference"] for row in upgraded.listed("case", "list")}
    assert still_open == {
        reference for reference, known in FACTS["cases"].items() if not known["closed"]
    }
    for reference, text in (
        ("K-2026-1", "een klacht over de toon"),
        ("PL-2026-100", "mishandeling van een medewerker"),
        ("OM-2026-77", "een vordering na een overval"),
        ("INZ-2026-1", "een ander is herkenbaar in beeld"),
    ):
        assert text in upgraded.done("case", "show", reference, by=("Petra",))


def test_its_persons_and_replacements_are_listed(upgraded: Golden) -> None:
    rows = {row["name"]: row for row in upgraded.listed("person", "list")}
    assert rows.keys() == FACTS["persons"].keys() | FACTS["left"].keys()
    assert {name for name, row in rows.items() if row["left_utc"]} == FACTS["left"].keys()
    assert {name: row["officer"] for name, row in rows.items() if row["officer"]} == {
        "Mo": "boa-17",
        "Nel": "boa-18",
    }
    away = {row["id"]: row for row in upgraded.listed("person", "absences")}
    for label in ("ended absence", "absence"):
        row = away[FACTS["known"][label]]
        assert (row["role"], row["absent"], row["substitute"]) == (
            "BC",
            FACTS["persons"]["Bea"]["id"],
            FACTS["persons"]["Carel"]["id"],
        )
    assert [
        bool(away[FACTS["known"][label]]["ended_utc"]) for label in ("ended absence", "absence")
    ] == [True, False]


def test_its_reports_cameras_and_carriers_are_listed(upgraded: Golden) -> None:
    known = FACTS["known"]
    reports = {row["id"]: row for row in upgraded.listed("report", "list", by="Bea")}
    labels = ("of a destroyed one", "of two", "without recording", "at home", "of what was shown")
    assert reports.keys() == {known[label] for label in labels}
    assert {label for label in labels if reports[known[label]]["received_utc"]} == {
        "of two",
        "of what was shown",
    }
    assert reports[known["of two"]]["addressee"] == "CM"
    lacking = {row["recording"] for row in upgraded.listed("report", "missing", by="Bea")}
    assert lacking == ids_of(["held", "claimed", "demanded", "unproven"])
    cameras = {row["serial"]: row for row in upgraded.listed("camera", "list", by="Bea")}
    assert {
        serial: (row["kind"], row["removed_utc"] is None) for serial, row in cameras.items()
    } == {
        "BWC0042": ("manifest", True),
        "BWC0043": ("manifest", False),
        "HELMET_7": ("dcim", True),
    }
    carried = {row["camera_serial"]: row for row in upgraded.listed("assign", "list", by="Bea")}
    assert {
        serial: (row["person"], row["until_utc"] is None) for serial, row in carried.items()
    } == {
        "BWC0042": (FACTS["persons"]["Mo"]["id"], True),
        "HELMET_7": (FACTS["persons"]["Nel"]["id"], False),
    }


def test_its_viewings_and_hand_over_are_listed(upgraded: Golden) -> None:
    rows = {row["viewing"]["id"]: row for row in upgraded.listed("view", "list")}
    known = FACTS["known"]
    labels = (
        "ended",
        "learned",
        "refused",
        "of the police report",
        "to be learned",
        "of the demand",
        "waiting",
    )
    assert rows.keys() == {known[label] for label in labels}
    assert {label for label in labels if rows[known[label]]["viewing"]["ended_utc"]} == {
        "ended",
        "learned",
        "of the police report",
        "of the demand",
    }
    assert rows[known["ended"]]["recordings"] == [id_of("shown")]
    (handed,) = upgraded.listed("handover", "list")
    assert (handed["id"], handed["receiver"], handed["received_by"]) == (
        known["hand-over"],
        "Politie Oost-Brabant",
        "J. de Vries",
    )


def test_its_log_is_read(upgraded: Golden) -> None:
    """Every entry of then, and after them those of this program."""
    rows = upgraded.listed("log", "--last", "1000")
    then = rows[: FACTS["log"]["entries"]]
    found = {
        action: sum(row["action"] == action for row in then) for action in FACTS["log"]["actions"]
    }
    assert found == FACTS["log"]["actions"]
    assert [row["sequence"] for row in rows] == list(range(len(rows)))
    assert rows[-1]["action"] == "log.read"


def test_what_an_old_log_holds_for_good(golden: Golden) -> None:
    """Version 0.1.0 wrote reasons of absences and of a deletion into the log: they stay there."""
    reasons = {
        "ended_absence": ("absence.recorded", FACTS["known"]["ended absence"]),
        "absence": ("absence.recorded", FACTS["known"]["absence"]),
        "deletion": ("recording.destroyed", id_of("deleted")),
    }
    for label, (action, subject) in reasons.items():
        told = [
            leaf
            for leaf in golden.leaves()
            if FACTS["words"][label] in json.dumps(leaf, ensure_ascii=False)
        ]
        assert [(leaf["action"], leaf["subject"]) for leaf in told] == [(action, subject)]


# --- sweeps, and is made anew --------------------------------------------------------------------


def test_a_sweep_destroys_what_is_due_and_nothing_else(upgraded: Golden) -> None:
    """At the last clock nothing, at the stated one what is due; never what a case holds."""
    plan = FACTS["sweep"]
    with upgraded.open() as vault:
        assert sweep(vault, upgraded.clock).destroyed == ()
        upgraded.move_to(utc_moment(plan["moment"]))
        swept = sweep(vault, upgraded.clock)
        assert swept.trust.trusted
        assert (set(swept.destroyed), set(swept.marked)) == (
            ids_of(plan["destroys"]),
            ids_of(plan["marks"]),
        )
        again = sweep(vault, upgraded.clock)
        assert (again.destroyed, again.marked, again.awaiting) == ((), (), ())
    folders = {path.name for path in upgraded.root.glob("footage/*/*/*")}
    assert folders == ids_of(STANDING) - ids_of(plan["destroys"])
    stones = {path.stem for path in upgraded.root.glob("register/tombstones/*.json")}
    assert stones == ids_of(DESTROYED) | ids_of(plan["destroys"])
    gone = [leaf for leaf in upgraded.leaves() if leaf["action"] == "recording.destroyed"][-1]
    assert (gone["subject"], gone["details"]["destroyed_utc"]) == (
        id_of("due"),
        utc_text(upgraded.clock.now()),
    )
    upgraded.done("verify")


def test_its_catalogue_is_made_anew_to_the_same_rows(upgraded: Golden) -> None:
    before = upgraded.rows()
    assert len(before["recording"]) == len(RECORDINGS)
    (upgraded.root / "catalogue/catalogue.db").unlink()
    upgraded.done("rebuild")
    assert {name: rows for name, rows in upgraded.rows().items() if rows != before[name]} == {}
    assert upgraded.rows().keys() == before.keys()
    upgraded.done("confirm", by=("Carel", "Petra"))
    upgraded.done("verify")
