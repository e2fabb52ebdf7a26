"""Playback on loopback, with the real server as a process and a real browser: first picture,
seeking, memory.

A recording of `minutes` is opened in four viewings at once. Times are medians in milliseconds;
memory is the server's resident set in MB.
"""

import random
import re
import statistics
import subprocess
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Error, Page
from rich.console import Console

from tests.support.back_office import BackOffice, backoffice, free_port
from tests.support.browser import UNLOCK, People, people, until
from tests.support.film import film
from vault.crypto.passphrase import PassphraseCost
from vault.custody.keyholders import set_passphrase

VIEWINGS = 4
SEEKS = 25
VAULT = Path(sysconfig.get_path("scripts")) / "vault"


@dataclass(frozen=True, slots=True)
class Played:
    """What was measured. `opened_ms`: from sending both passphrases to the picture; `first_ms`:
    from both being unlocked.
    """

    minutes: float
    opened_ms: float
    first_ms: float
    seek_ms: float
    slowest_seek_ms: float
    resident_mb: float


@contextmanager
def server(back: BackOffice, folder: Path) -> Iterator[int]:
    """`vault web` on the office's vault; its process id."""
    here = back.office.settings
    config = folder / "vault.toml"
    config.write_text(
        f'root = "{here.root}"\npins = "{here.pins}"\nreserve_mb = 1\n[web]\nlisten = '
        f'"{here.web.listen}"\n'
        f'origin = "{here.web.origin}"\npackages = "{folder / "packages"}"\n'
    )
    with (folder / "web.log").open("w") as log:
        running = subprocess.Popen([VAULT, "web", "--config", config], stdout=log, stderr=log)
        try:
            yield running.pid
        finally:
            running.terminate()
            running.wait(30)


def measure(minutes: float) -> Played:
    """Record, store, open four times, seek. Raises where a picture never comes."""
    port = free_port()
    web = {"listen": f"127.0.0.1:{port}", "origin": f"http://localhost:{port}"}
    shot = film(45.0, minutes * 60)
    with (
        tempfile.TemporaryDirectory() as place,
        backoffice(Path(place) / "office", web=web) as back,
    ):
        recordings = [back.film(shot) for _ in range(VIEWINGS)]
        viewings = [back.viewing(recording) for recording in recordings]
        for name in ("Carel", "Geert"):
            # What a real passphrase costs is part of what people wait for.
            set_passphrase(
                back.office.vault,
                back.office.signed(name),
                back.office.secrets[name],
                PassphraseCost(),
            )
        back.office.clock.pass_time(60)
        with server(back, Path(place)) as pid, people(back, f"http://localhost:{port}") as crowd:
            played = _measured(crowd, pid, viewings, minutes)
        shown = len(back.office.told("viewing.shown"))
        # Another process served it.
        back.told_only = back.told_bytes()
        if minutes >= 30 and shown < VIEWINGS * SEEKS:
            raise SystemExit(
                f"only {shown} spans were shown for {VIEWINGS * SEEKS} seeks: what was "
                f"measured is no seeking"
            )
        return played


def _measured(crowd: People, pid: int, viewings: list[str], minutes: float) -> Played:
    chance = random.Random(7)
    opened, first, sought = [], [], []
    pages: list[Page] = []
    _until_served(crowd)
    for viewing in viewings:
        page = crowd.sign_in("Carel")
        crowd.fill_unlock(page, viewing, "Carel", "Geert")
        begun = page.evaluate("Date.now()")
        page.locator(UNLOCK).click(no_wait_after=True)
        page.wait_for_url("**/watch", wait_until="commit")
        unlocked = page.evaluate("performance.timeOrigin")
        until(page, "document.querySelector('video')?.readyState >= 2")
        there = page.evaluate("Date.now()")
        opened.append(there - begun)
        first.append(there - unlocked)
        pages.append(page)
    for page in pages:
        for _ in range(SEEKS):
            sought.append(page.evaluate(_SEEK, chance.uniform(1, minutes * 60)))
    resident = int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1]) / 1024  # type: ignore[index]
    return Played(
        minutes,
        statistics.median(opened),
        statistics.median(first),
        statistics.median(sought),
        max(sought),
        round(resident, 1),
    )


def _until_served(crowd: People) -> None:
    page = crowd.page(crowd.context())
    for _ in range(200):
        try:
            page.goto(f"{crowd.origin}/sign-in")
        except Error:
            page.wait_for_timeout(100)
        else:
            page.context.close()
            return
    raise SystemExit("the back office did not start")


_SEEK = """at => new Promise(done => {
  const video = document.querySelector('video'), begun = performance.now();
  const look = () => (!video.seeking && video.readyState >= 2 ? done(performance.now() - begun) : setTimeout(look, 2));
  video.currentTime = at;
  setTimeout(look, 0);
})"""


def playback(console: Console, minutes: float) -> bool:
    """Print the figures beside what was asked for; whether all of it holds."""
    played = measure(minutes)
    lines = (
        f"{VIEWINGS} viewings of a recording of {played.minutes:g} minutes, on loopback; medians:",
        f"  first picture {played.first_ms:.0f} ms after both have unlocked (asked: under 1000); "
        f"{played.opened_ms:.0f} ms after both passphrases were sent",
        f"  seeking {played.seek_ms:.0f} ms (asked: under 500), the slowest "
        f"{played.slowest_seek_ms:.0f} ms",
        f"  resident memory of the back office {played.resident_mb:.1f} MB (asked: below 150)",
    )
    for line in lines:
        console.print(line)
    return played.first_ms < 1000 and played.seek_ms < 500 and played.resident_mb < 150
