"""The story in a real browser, as people would do it: both languages, two browsers for the pair,
nothing leaves the machine.
"""

import contextlib
import io
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from playwright.sync_api import Page

from device_sim.camera.scene import read_counter
from tests.support.back_office import backoffice, free_port, served
from tests.support.browser import People, people, until
from tests.support.film import film
from vault.recording import SegmentClaim


@pytest.fixture
def crowd(tmp_path: Path) -> Iterator[People]:
    port = free_port()
    web = {"listen": f"127.0.0.1:{port}", "origin": f"http://localhost:{port}"}
    with (
        backoffice(tmp_path / "office", web=web) as back,
        served(back) as origin,
        people(back, origin) as made,
    ):
        yield made
        assert made.strayed == []
        assert made.complaints == []


def shows(page: Page) -> None:
    page.wait_for_url("**/watch")
    until(page, "document.querySelector('video').readyState >= 2")


def counter(page: Page) -> int | None:
    """The number burnt into the picture that the screen shows, read from a screenshot of it."""
    video = page.locator("video")
    page.evaluate("document.querySelector('.player__mark').style.visibility = 'hidden'")
    png = video.screenshot()
    page.evaluate("document.querySelector('.player__mark').style.visibility = ''")
    return read_counter(_at_own_size(png))


def _at_own_size(png: bytes, width: int = 320, height: int = 180) -> np.ndarray:
    """The picture at the size that the camera wrote, in grey."""
    with av.open(io.BytesIO(png), mode="r", format="png_pipe") as opened:
        frame = next(opened.decode(video=0))
        return frame.reformat(width=width, height=height, format="gray").to_ndarray()


def _kept_by_the_browser(content: bytes) -> list[str]:
    """Files of the browser's profile that hold this content: it may keep nothing."""
    profiles = Path(tempfile.gettempdir()).glob("playwright_chromiumdev_profile-*")
    found = []
    for path in (one for profile in profiles for one in profile.rglob("*") if one.is_file()):
        with contextlib.suppress(OSError):
            found += [str(path)] if content in path.read_bytes() else []
    return found


def comes_to(page: Page, number: int) -> None:
    """Wait until the picture of this number is on the screen: the next one, whatever the camera's
    frame rate, and not another.
    """
    for _ in range(60):
        if (there := counter(page)) == number:
            return
    raise AssertionError(f"the screen shows {there} and not {number}")


def seek(page: Page, seconds: float) -> None:
    page.evaluate("at => { document.querySelector('video').currentTime = at; }", seconds)
    until(
        page,
        "!document.querySelector('video').seeking && "
        "document.querySelector('video').readyState >= 2",
    )


@pytest.mark.parametrize("language", ["nl", "en"])
def test_a_complaint_from_report_to_picture(crowd: People, language: str) -> None:
    """Proves P21, P34, P37, P39, P40, P46: report, case, request, two browsers unlock, the picture,
    one leaves, the log tells.
    """
    back = crowd.back
    recording = back.film()
    mo = crowd.sign_in("Mo", language)
    mo.goto(f"{crowd.origin}/reports/new?recording={recording}")
    assert mo.locator(f"input[value='{recording}']").is_checked()
    mo.select_option("#f-location", "public_space")
    for name, text in (
        ("cause", "overlast"),
        ("event", "gesprek"),
        ("announcement", "gezegd"),
        ("information", "folder"),
    ):
        mo.fill(f"#f-{name}", text)
    mo.check("input[name=announced][value=yes]")
    mo.check("input[name=informed][value=yes]")
    mo.locator("main form button.utrecht-button--primary-action").click()
    mo.wait_for_url("**/reports?done=report")
    carel = crowd.sign_in("Carel", language)
    carel.goto(f"{crowd.origin}/cases/new?recording={recording}")
    carel.select_option("#f-kind", "complaint")
    carel.fill("#f-reference", "K-2026-9")
    carel.locator("main form button.utrecht-button--primary-action").click()
    carel.wait_for_url("**/cases/*?done=case")
    carel.get_by_role(
        "link", name="Bekijken aanvragen" if language == "nl" else "Ask for a viewing"
    ).click()
    carel.check(f"input[value='{recording}']")
    carel.locator("main form button.utrecht-button--primary-action").click()
    carel.wait_for_url("**/viewings/*?done=requested")
    viewing = carel.url.split("/")[-1].split("?")[0]
    geert = crowd.sign_in("Geert", language)
    assert geert.locator(f"a[href='/viewings/{viewing}']").count() == 1
    crowd.unlock(carel, viewing, "Carel")
    carel.wait_for_selector("[data-waiting] [role=status]")
    crowd.unlock(geert, viewing, "Geert")
    shows(geert)
    shows(carel)
    for page in (carel, geert):
        mark = page.locator(".player__mark").inner_text()
        assert "Carel" in mark
        assert "Geert" in mark
    carel.locator("form[action$=leave] button").click()
    geert.wait_for_selector("[data-over]:not([hidden])")
    assert geert.evaluate("!document.querySelector('video').src")
    mo.goto(f"{crowd.origin}/mine/{recording}")
    assert "Carel" in mo.locator("main").inner_text()
    carel.goto(f"{crowd.origin}/log")
    assert ("beeld getoond" if language == "nl" else "picture shown") in carel.locator(
        "main"
    ).inner_text()
    sizes = [entry["details"] for entry in back.office.told("viewing.shown")]
    assert sizes
    assert {entry["recording"] for entry in sizes} == {recording}


def test_the_player_plays_from_the_pre_roll_across_the_switch_on(crowd: People) -> None:
    """Proves P15: the burnt-in counter read from the screen says that the 30 s before the switch-on
    are there, frame by frame.
    """
    back = crowd.back
    shot = film()
    recording = back.film()
    viewing = back.viewing(recording)
    page = crowd.sign_in("Carel")
    crowd.unlock(page, viewing, "Carel", "Geert")
    shows(page)
    first = counter(page)
    assert first is not None
    seek(page, 12.05)
    assert counter(page) == first + 120
    page.locator("[data-to-on]").click()
    until(
        page,
        "!document.querySelector('video').seeking && "
        "document.querySelector('video').readyState >= 2",
    )
    at_on = counter(page)
    preroll_ms = shot.statement["preroll"]["delivered_ms"]  # type: ignore[index]
    assert at_on is not None
    assert abs(at_on - (first + preroll_ms // 100)) <= 1
    seek(page, preroll_ms / 1000 - 1.0)
    page.evaluate("document.querySelector('video').play()")
    until(page, f"document.querySelector('video').currentTime > {preroll_ms / 1000 + 0.5}")
    page.evaluate("document.querySelector('video').pause()")
    assert (counter(page) or 0) > at_on
    here = counter(page) or 0
    page.locator("[data-forward]").click()
    comes_to(page, here + 1)
    page.locator("[data-back]").click()
    comes_to(page, here)
    assert _kept_by_the_browser(shot.segments[0][-4096:-4000]) == []
    rects = page.locator("[data-marks] rect").count()
    assert rects == 2


def test_a_missing_segment_shows_as_a_gap(crowd: People) -> None:
    back = crowd.back
    shot = film()
    stated: Any = shot.statement["segments"]
    kept = [at for at in range(len(shot.segments)) if at != 2]
    segments = tuple(
        SegmentClaim(
            one["name"],
            one["bytes"],
            one["sha256"],
            one["start_ms"],
            one["duration_ms"],
            one["preroll"],
        )
        for at, one in enumerate(stated)
        if at in kept
    )
    recording = back.film(contents=tuple(shot.segments[at] for at in kept), segments=segments)
    viewing = back.viewing(recording)
    page = crowd.sign_in("Carel")
    crowd.unlock(page, viewing, "Carel", "Geert")
    shows(page)
    first = counter(page)
    assert first is not None
    assert page.locator(".swatch--gap").count() == 1
    page.evaluate("document.querySelector('video').currentTime = 25")
    page.wait_for_selector("[data-gap]:not([hidden])")
    seek(page, 31.05)
    assert counter(page) == first + 310
    page.evaluate("document.querySelector('video').currentTime = 19")
    page.evaluate("document.querySelector('video').play()")
    until(page, "document.querySelector('video').currentTime > 30.2")


def test_learning_from_one_s_own_footage(crowd: People) -> None:
    """Proves P50, P53, P56: the officer asks, the coordinator agrees, both watch together."""
    back = crowd.back
    recording = back.film()
    mo = crowd.sign_in("Mo")
    mo.goto(f"{crowd.origin}/viewings/new")
    mo.check(f"input[value='{recording}']")
    mo.fill("#f-reason", "hoe ik begon")
    mo.locator("main form button.utrecht-button--primary-action").click()
    mo.wait_for_url("**/viewings/*?done=requested")
    viewing = mo.url.split("/")[-1].split("?")[0]
    bea = crowd.sign_in("Bea")
    bea.locator(f"a[href='/viewings/{viewing}']").click()
    bea.locator("form[action$=approve] button").click()
    bea.wait_for_url("**?done=approved")
    crowd.unlock(mo, viewing, "Mo")
    mo.wait_for_selector("[data-waiting] [role=status]")
    crowd.unlock(bea, viewing, "Bea")
    shows(bea)
    shows(mo)
    assert PURPOSE_SAID in mo.locator("main").inner_text()


PURPOSE_SAID = "leerervaring"
