"""Viewing by two over the pages: what is served is what is logged, and it ends for both."""

from pathlib import Path

import pytest

from tests.support.back_office import BackOffice, backoffice
from tests.support.film import film
from tests.support.vault_world import sha256
from vault.errors import StorageFailed
from vault.log.log import Log
from vault.recording import SegmentClaim
from vault.rules.purposes import Purpose
from vault.web.live_viewings import ABSENT_S, WAIT_S

CODES = ["location", "nobody_else", "no_copy"]


def content(back: BackOffice, recording: str) -> bytes:
    return b"".join(back.office.plain[recording])


def test_what_is_served_is_what_the_log_says(back: BackOffice) -> None:
    """Proves P39: every byte of content that went out stands in the log, and no other; and the
    pieces make up the recording.
    """
    recording = back.film()
    viewing = back.viewing(recording)
    carel = back.open(viewing)
    base = f"/viewings/{viewing}/{recording}"
    init = carel.get(f"{base}/init.mp4").content
    segments = [carel.get(f"{base}/{number}.m4s").content for number in range(len(film().segments))]
    assert [init + segment for segment in segments] == list(film().segments)
    assert back.told_bytes() == len(init) + sum(map(len, segments))
    assert carel.get(f"{base}/{len(segments)}.m4s").status_code == 404
    assert carel.http.head(f"{base}/0.m4s").status_code == 405
    assert carel.get(f"{base}/0.file").status_code == 404


def test_large_segments_are_told_of_piece_by_piece(back: BackOffice) -> None:
    """A span of 4 MiB at most is opened, logged and sent at once."""
    shot = film()
    padded = shot.segments[0] + b"\0\0\0\x08free" * 1_000_000
    segments = (SegmentClaim("0000.mp4", len(padded), sha256(padded), 0, 10_000, True),)
    recording = back.film(contents=(padded,), segments=segments)
    viewing = back.viewing(recording)
    carel = back.open(viewing)
    answer = carel.get(f"/viewings/{viewing}/{recording}/0.m4s")
    assert len(answer.content) == int(answer.headers["content-length"]) == len(padded) - 1079
    shown = [entry["details"] for entry in back.office.told("viewing.shown")]
    assert len(shown) == 2
    assert back.told_bytes() == len(answer.content)


def test_whole_files_come_in_bounded_ranges(back: BackOffice) -> None:
    """A camera that states no times: files, by ranges of 1 MiB at most, each logged; a huge range
    gives no more.
    """
    plain = bytes(range(256)) * 8192
    recording = back.film(
        contents=(plain,),
        segments=(SegmentClaim("CLIP.MP4", len(plain), sha256(plain), None, None, None),),
    )
    viewing = back.viewing(recording)
    carel = back.open(viewing)
    base = f"/viewings/{viewing}/{recording}"
    assert carel.get(f"{base}/playlist.m3u8").status_code == 404
    assert carel.get(f"{base}/init.mp4").status_code == 404
    all_of_it = carel.get(f"{base}/0.file", range="bytes=0-")
    assert all_of_it.status_code == 206
    assert all_of_it.content == plain[: 1 << 20]
    assert all_of_it.headers["content-range"] == f"bytes 0-1048575/{len(plain)}"
    part = carel.get(f"{base}/0.file", range="bytes=1500000-1500099")
    assert part.content == plain[1_500_000:1_500_100]
    for wrong in ("bytes=9999999999-", "bytes=-5", "bytes=5-1", "lines=1-2", "bytes=0-1,4-5"):
        assert carel.get(f"{base}/0.file", range=wrong).status_code == 416
    assert back.told_bytes() == (1 << 20) + 100
    assert carel.get(f"/viewings/{viewing}/watch").status_code == 200


def test_a_log_that_cannot_be_written_shows_no_picture(
    back: BackOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fault I2: the entry comes before the byte; without it the viewing is over."""
    recording = back.film()
    viewing = back.viewing(recording)
    carel = back.open(viewing)
    register = back.office.settings.root / "register"
    real = Log.append

    def full(log: Log, tx: object, entry: object) -> int:
        raise StorageFailed(f"writing into {register}: no space left on device.")

    monkeypatch.setattr(Log, "append", full)
    answer = carel.get(f"/viewings/{viewing}/{recording}/0.m4s")
    monkeypatch.setattr(Log, "append", real)
    assert answer.status_code == 503
    assert film().segments[0][-64:] not in answer.content
    assert carel.get(f"/viewings/{viewing}/{recording}/0.m4s").status_code == 410
    assert back.told_bytes() == 0


def test_two_screens_join_and_either_ends_it_for_both(back: BackOffice) -> None:
    """Proves P40: one unlocks and waits, the other joins; whoever leaves ends both pictures."""
    recording = back.film()
    viewing = back.viewing(recording)
    carel, geert = back.screen("Carel"), back.screen("Geert")
    secret = back.office.secrets
    first = carel.send(f"/viewings/{viewing}/unlock", confirm=CODES, passphrase=secret["Carel"])
    assert first.headers["location"] == f"/viewings/{viewing}"
    assert carel.get(f"/viewings/{viewing}/{recording}/playlist.m3u8").status_code == 403
    assert geert.get(f"/viewings/{viewing}/here").json()["waiting"] == "Carel"
    second = geert.send(f"/viewings/{viewing}/unlock", confirm=CODES, passphrase=secret["Geert"])
    assert second.headers["location"].endswith("/watch")
    for screen in (carel, geert):
        assert screen.get(f"/viewings/{viewing}/here").json()["joined"] is True
        assert screen.get(f"/viewings/{viewing}/{recording}/init.mp4").status_code == 200
    geert.send(f"/viewings/{viewing}/leave")
    for screen in (carel, geert):
        assert screen.get(f"/viewings/{viewing}/{recording}/init.mp4").status_code == 410
        assert screen.get(f"/viewings/{viewing}/here").json()["joined"] is False
    assert [entry["details"]["because"] for entry in back.office.told("viewing.ended")] == [
        "Geert left"
    ]


@pytest.mark.parametrize("way", ["signed out", "idle", "left", "time", "stopped"])
def test_it_ends_however_a_screen_goes(back: BackOffice, way: str) -> None:
    recording = back.film()
    viewing = back.viewing(recording)
    carel = back.open(viewing)
    if way == "signed out":
        carel.send("/sign-out")
    elif way == "idle":
        back.office.clock.pass_time(601)
        back.web.sessions.sweep()
    elif way == "left":
        back.office.clock.pass_time(ABSENT_S + 1)
        back.web.live_viewings.tend()
    elif way == "time":
        for _ in range(3600 // 10 + 1):
            back.office.clock.pass_time(10)
            carel.get(f"/viewings/{viewing}/here")
    else:
        back.web.live_viewings.end_all("the back office stopped")
    assert back.web.live_viewings.open_ids() == ()
    assert len(back.office.told("viewing.ended")) == 1
    again = back.new_screen("Carel")
    assert again.get(f"/viewings/{viewing}/{recording}/0.m4s").status_code in (403, 410)


def test_keys_that_wait_are_forgotten(back: BackOffice) -> None:
    """Ruling 5: who unlocked first waits five minutes at most, and may stop waiting."""
    viewing = back.viewing(back.film())
    carel, geert = back.screen("Carel"), back.screen("Geert")
    secret = back.office.secrets
    carel.send(f"/viewings/{viewing}/unlock", confirm=CODES, passphrase=secret["Carel"])
    back.office.clock.pass_time(WAIT_S + 1)
    assert geert.get(f"/viewings/{viewing}/here").json()["waiting"] == ""
    carel.send(f"/viewings/{viewing}/unlock", confirm=CODES, passphrase=secret["Carel"])
    carel.send(f"/viewings/{viewing}/leave")
    assert geert.get(f"/viewings/{viewing}/here").json()["waiting"] == ""
    answer = geert.send(f"/viewings/{viewing}/unlock", confirm=CODES, passphrase=secret["Geert"])
    assert not answer.headers["location"].endswith("/watch")


def test_a_damaged_segment_is_an_error_and_not_a_picture(tmp_path: Path) -> None:
    with backoffice(tmp_path / "office") as back:
        recording = back.film()
        viewing = back.viewing(recording)
        sealed = sorted(back.office.settings.root.rglob("0001.sealed")) or sorted(
            back.office.settings.root.rglob("*.sealed")
        )
        damaged = next(
            path for path in sealed if recording in str(path) and "manifest" not in path.name
        )
        number = sorted(
            path.name for path in damaged.parent.glob("*.sealed") if "manifest" not in path.name
        ).index(damaged.name)
        blob = bytearray(damaged.read_bytes())
        blob[len(blob) // 2] ^= 1
        damaged.chmod(0o600)
        damaged.write_bytes(blob)
        carel = back.open(viewing)
        assert carel.get(f"/viewings/{viewing}/{recording}/{number}.m4s").status_code == 503
        back.told_only = back.told_bytes()
        other = (number + 1) % len(film().segments)
        assert carel.get(f"/viewings/{viewing}/{recording}/{other}.m4s").status_code == 200


def test_a_hand_over_is_made_fetched_and_gone(back: BackOffice) -> None:
    """Proves P43, P44: while the viewing is open its encrypted package can be fetched; after,
    nothing is there.
    """
    recording = back.film()
    viewing = back.viewing(recording, Purpose.POLICE_REPORT)
    petra = back.open(viewing, "Petra", "Vera", Purpose.POLICE_REPORT)
    wrong = petra.send(f"/viewings/{viewing}/handover", receiver="politie", recipient="nonsense")
    assert wrong.status_code == 303
    assert settled(back, viewing) == "failed"
    assert petra.get(f"/viewings/{viewing}/handover").status_code == 200
    key = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"
    petra.send(f"/viewings/{viewing}/handover", receiver="politie", recipient=key)
    assert settled(back, viewing) == "made"
    fetched = petra.get(f"/viewings/{viewing}/handover/package")
    assert fetched.content.startswith(b"age-encryption.org/v1")
    assert len(fetched.content) == int(fetched.headers["content-length"])
    folder = back.office.settings.web.packages / viewing
    assert list(folder.iterdir())
    petra.send(f"/viewings/{viewing}/leave")
    assert list(folder.iterdir()) == []
    assert petra.get(f"/viewings/{viewing}/handover/package").status_code == 410
    assert petra.get("/handovers").text.count("politie") >= 1


def settled(back: BackOffice, viewing: str) -> str:
    package = back.web.packages.of(viewing)
    assert package is not None
    package.thread.join(30)
    return "made" if package.made is not None else "failed"
