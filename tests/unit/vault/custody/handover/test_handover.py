"""The hand-over: the only way out, checked by its receiver with public tools alone (P43 to P45)."""

import base64
import hashlib
import json
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pyrage
import pytest

from tests.support.office import Office
from vault.custody import cases, people
from vault.custody.cases import NewCase
from vault.custody.handover import handover
from vault.custody.handover.handover import HandedOver, HandOverRefused, Order, hand_over
from vault.custody.handover.package import BadRecipient
from vault.custody.viewing import viewing_requests
from vault.custody.viewing.viewing_session import Session, open_viewing
from vault.errors import Failure, NotAllowed, VaultFull
from vault.rules.case_kinds import CaseKind
from vault.rules.purposes import Purpose
from vault.rules.roles import Role

CONTENTS = (b"\x00\x00\x00\x18ftypisom" + b"street " * 20_000, b"more of the street " * 9_000)
CONFIRMED = ("location", "nobody_else", "no_copy", "on_it", "rights")


@pytest.fixture
def receiver(tmp_path: Path) -> pyrage.x25519.Identity:
    identity = pyrage.x25519.Identity.generate()
    (tmp_path / "sleutel.txt").write_text(f"{identity}\n")
    return identity


def case_of(here: Office, kind: CaseKind, *recordings: str) -> str:
    return cases.register(
        here.vault,
        here.actor("Petra"),
        NewCase(kind, f"PL-{kind.value}", here.clock.now(), recordings),
    )


def session_for(
    here: Office, purpose: Purpose, case: str, recordings: tuple[str, ...], one: str, other: str
) -> Session:
    wanted = viewing_requests.request(
        here.vault, here.actor(one), purpose, recordings, case=case, reason="asked for"
    )
    return open_viewing(here.vault, wanted, here.signed(one), here.signed(other), CONFIRMED)


def order(tmp_path: Path, receiver: pyrage.x25519.Identity) -> Order:
    return Order(
        "Politie Oost-Brabant", str(receiver.to_public()), "gemeente Heusden", tmp_path / "out"
    )


def handed_over(here: Office, tmp_path: Path, receiver: pyrage.x25519.Identity) -> HandedOver:
    first, second = here.record(contents=CONTENTS), here.record(contents=CONTENTS[::-1])
    case = case_of(here, CaseKind.DEMAND, first, second)
    with session_for(here, Purpose.DEMAND, case, (first, second), "Petra", "Carel") as session:
        return hand_over(here.vault, session, order(tmp_path, receiver))


def commands(text: str) -> list[str]:
    """The lines of CONTROLE.txt that are commands."""
    return [found[1] for line in text.splitlines() if (found := re.match(r"\s+\$ (.*)", line))]


def run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    tools = f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"
    return subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env={"PATH": tools},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def unpacked(package: Path, folder: Path) -> tuple[Path, str]:
    """The bag, opened as its receiver does; and its CONTROLE.txt."""
    for command in (f"age -d -i sleutel.txt -o pakket.zip {package}", "unzip -q -o pakket.zip"):
        assert run(command, folder).returncode == 0
    bag = folder / package.name.removesuffix(".zip.age")
    return bag, (bag / "data/CONTROLE.txt").read_text()


def test_the_receiver_checks_everything_with_public_tools(
    here: Office, tmp_path: Path, receiver: pyrage.x25519.Identity
) -> None:
    """Proves P43: every command of CONTROLE.txt is run as it stands, with age, unzip, sha256sum,
    openssl, bagit, cmp.
    """
    made = handed_over(here, tmp_path, receiver)
    _, text = unpacked(made.path, tmp_path)
    (tmp_path / made.path.name).write_bytes(made.path.read_bytes())
    for leftover in ("pakket.zip",):
        (tmp_path / leftover).unlink()
    run(f"rm -r {made.path.name.removesuffix('.zip.age')}", tmp_path)
    told = commands(text)
    assert len(told) == 11
    for command in told:
        done = run(command, tmp_path)
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        if command.startswith("sha256sum"):
            assert done.stdout.split()[0] == made.packed.sha256
        if command.startswith("python3"):
            assert done.stdout.strip() == "gelijk"
        if "openssl" in command:
            assert "Signature Verified Successfully" in done.stdout
    bag = tmp_path / made.path.name.removesuffix(".zip.age")
    for number, contents in ((1, CONTENTS), (2, CONTENTS[::-1])):
        segments = sorted((bag / f"data/opname-{number}/segmenten").iterdir())
        assert {path.read_bytes() for path in segments} == set(contents)


@pytest.mark.parametrize(
    ("path", "catches"),
    [
        ("opname-1/segmenten/0000.mp4", ("bagit.py", "sha256sum --quiet", "python3")),
        ("opname-1/recording.json", ("bagit.py", "sha256sum --quiet", "openssl")),
        ("opname-1/recording.sig", ("bagit.py", "sha256sum --quiet", "openssl")),
        ("opname-2/opname.mp4", ("bagit.py", "sha256sum --quiet", "cmp")),
        ("overdracht.pdf", ("bagit.py", "sha256sum --quiet")),
        ("logboek/entries.jsonl", ("bagit.py", "sha256sum --quiet")),
    ],
)
def test_an_altered_byte_is_found(
    here: Office,
    tmp_path: Path,
    receiver: pyrage.x25519.Identity,
    path: str,
    catches: tuple[str, ...],
) -> None:
    bag, text = unpacked(handed_over(here, tmp_path, receiver).path, tmp_path)
    content = bytearray((bag / "data" / path).read_bytes())
    content[len(content) // 2] ^= 1
    (bag / "data" / path).write_bytes(content)
    for tool in catches:
        failed = [
            run(command, tmp_path).returncode != 0 for command in commands(text) if tool in command
        ]
        assert any(failed), tool


def test_the_logs_proofs_hold_for_whoever_computes_them_anew(
    here: Office, tmp_path: Path, receiver: pyrage.x25519.Identity
) -> None:
    """Proves P45 and P39 to the receiver: each entry's path leads to the signed root, computed here
    from RFC 6962's text.
    """
    bag, _ = unpacked(handed_over(here, tmp_path, receiver).path, tmp_path)
    told = json.loads((bag / "data/logboek/bewijzen.json").read_text())
    root = base64.b64decode(told["checkpoint"].split("\n")[2])
    leaves = {
        json.loads(line)["sequence"]: line
        for line in (bag / "data/logboek/entries.jsonl").read_bytes().splitlines()
    }
    for proof in told["proofs"]:
        node = hashlib.sha256(b"\0" + leaves[proof["sequence"]]).digest()
        at, last = proof["sequence"], proof["size"] - 1
        for step in map(base64.b64decode, proof["path"]):
            if at % 2 or at == last:
                node = hashlib.sha256(b"\1" + step + node).digest()
                while at % 2 == 0 and at:
                    at, last = at >> 1, last >> 1
            else:
                node = hashlib.sha256(b"\1" + node + step).digest()
            at, last = at >> 1, last >> 1
        assert node == root
    actions = [json.loads(leaf)["action"] for _, leaf in sorted(leaves.items())]
    assert {
        "camera.added",
        "recording.stored",
        "case.registered",
        "viewing.opened",
        "handover.begun",
    } <= set(actions)
    assert len(told["proofs"]) == len(leaves)


def test_the_report_tells_every_step(
    here: Office, tmp_path: Path, receiver: pyrage.x25519.Identity
) -> None:
    bag, _ = unpacked(handed_over(here, tmp_path, receiver).path, tmp_path)
    done = run("pdftotext -layout overdracht.pdf -", bag / "data")
    assert done.returncode == 0, done.stderr
    for words in (
        "Politie Oost-Brabant",
        "PL-demand",
        "Petra",
        "Carel",
        "verantwoordelijk",
        "bekijken begonnen",
        "ingelezen",
        "30.0 s (nagezien: heel)",
    ):
        assert words in done.stdout, words


def test_only_the_privacy_officer_hands_over_and_the_cluster_manager_in_an_absence(
    here: Office, tmp_path: Path, receiver: pyrage.x25519.Identity
) -> None:
    """Proves P44: with the absence on record the cluster manager does, and the log says in whose
    place.
    """
    recording = here.record(contents=CONTENTS)
    case = case_of(here, CaseKind.POLICE_REPORT, recording)
    with session_for(here, Purpose.POLICE_REPORT, case, (recording,), "Carel", "Vera") as session:
        with pytest.raises(NotAllowed, match="bij vervanging de clustermanager"):
            hand_over(here.vault, session, order(tmp_path, receiver))
        now = here.clock.now()
        people.record_absence(
            here.vault,
            here.actor("Geert"),
            Role.PRIVACY_OFFICER,
            "Petra",
            "Carel",
            (now, now + timedelta(days=7)),
            "ill",
        )
        hand_over(here.vault, session, order(tmp_path, receiver))
    (entry,) = here.told("handover.made")
    assert (entry["actor"], entry["acting_for"]) == (here.id("Carel"), here.id("Petra"))


@pytest.mark.parametrize("kind", [CaseKind.COMPLAINT, CaseKind.ACCESS_REQUEST])
def test_no_copy_leaves_for_any_other_purpose(
    here: Office, tmp_path: Path, receiver: pyrage.x25519.Identity, kind: CaseKind
) -> None:
    """Proves P9, P49, P56: a complaint or an access request ends in no package."""
    recording = here.record(contents=CONTENTS)
    case = case_of(here, kind, recording)
    pair = ("Carel", "Geert") if kind is CaseKind.COMPLAINT else ("Petra", "Geert")
    with (
        session_for(here, Purpose(kind.value), case, (recording,), *pair) as session,
        pytest.raises(NotAllowed, match="No copy"),
    ):
        hand_over(here.vault, session, order(tmp_path, receiver))
    assert not (tmp_path / "out").exists()
    assert here.told("handover.begun") == []


def test_a_receipt_passes_the_responsibility_on_once(
    here: Office, tmp_path: Path, receiver: pyrage.x25519.Identity
) -> None:
    """Proves P45."""
    made = handed_over(here, tmp_path, receiver)
    here.clock.pass_time(3600)
    handover.receive(
        here.vault, here.actor("Petra"), made.id, "J. de Vries, politie", here.clock.now()
    )
    (entry,) = here.told("handover.received")
    assert entry["details"]["responsibility"] == "passed_on"
    with pytest.raises(HandOverRefused):
        handover.receive(here.vault, here.actor("Petra"), made.id, "again", here.clock.now())


def test_a_disk_without_room_beside_the_reserve_takes_no_package(
    here: Office, tmp_path: Path, receiver: pyrage.x25519.Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fault C5: the log and viewing need what is left."""
    recording = here.record(contents=CONTENTS)
    case = case_of(here, CaseKind.DEMAND, recording)
    free_bytes = (here.settings.reserve_mb << 20) + sum(map(len, CONTENTS))
    with session_for(here, Purpose.DEMAND, case, (recording,), "Petra", "Carel") as session:
        monkeypatch.setattr("vault.storage.file_store.free_bytes", lambda _: free_bytes - 1)
        with pytest.raises(VaultFull, match="this package and the reserve"):
            hand_over(here.vault, session, order(tmp_path, receiver))
        assert not list((tmp_path / "out").iterdir())
        monkeypatch.setattr("vault.storage.file_store.free_bytes", lambda _: free_bytes + (1 << 20))
        assert hand_over(here.vault, session, order(tmp_path, receiver)).path.exists()


def test_a_bad_recipient_or_a_failing_recording_leaves_nothing(
    here: Office, tmp_path: Path, receiver: pyrage.x25519.Identity
) -> None:
    recording = here.record(contents=CONTENTS)
    case = case_of(here, CaseKind.DEMAND, recording)
    with session_for(here, Purpose.DEMAND, case, (recording,), "Petra", "Carel") as session:
        with pytest.raises(BadRecipient, match="age public key"):
            hand_over(
                here.vault, session, Order("Politie", "age1nonsense", "Heusden", tmp_path / "out")
            )
        (sealed,) = here.settings.root.glob(f"footage/*/*/{recording}/0001.sealed")
        sealed.write_bytes(sealed.read_bytes()[:-1])
        with pytest.raises(Failure, match=r"truncated|altered|shorter"):
            hand_over(here.vault, session, order(tmp_path, receiver))
    assert not list((tmp_path / "out").iterdir())
