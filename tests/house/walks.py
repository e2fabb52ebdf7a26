"""Three walks from page to bytes, and what climbs: a viewing, a hand-over, a sweep.

    python -m tests.house.walks [--depth 7]

Of each walk it prints the tree of calls, and how often something goes back up (`floors.py`):

- *climbs*: distinct edges whose callee stands higher than its caller in the order of packages.
  A callback, or a generator that a lower function consumes, is such an edge.
- *climbs by imports*: the same, where higher means that a longer chain of imports ends there.
- *into the vault*: climbs whose callee is in `vault.vault`.
- *handed down and back*: distinct edges that hand a part of the vault (log, clock, store, …) as an
  argument. The caller took it from the vault; the vault could do the same by itself.
- *turns*: the vault's own trip. Each call counts that was handed the vault or a part of it, or that
  is its method or a part's. A turn is a stay that stands higher than the stay before it.
"""

import argparse
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from unittest.mock import patch

from click.testing import CliRunner

from tests.house.recorder import Call, Function, Node, Recorder
from tests.support.back_office import ORIGIN, BackOffice, Screen, backoffice
from tests.support.hand_clock import HandClock
from vault.__main__ import commands
from vault.clock import SystemClock
from vault.rules.purposes import PURPOSES, Purpose

RECIPIENT = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"
PAIR = {Purpose.COMPLAINT: ("Carel", "Geert"), Purpose.POLICE_REPORT: ("Petra", "Vera")}


@dataclass(frozen=True, slots=True)
class Walk:
    """One walk and what was heard on it."""

    name: str
    recorder: Recorder

    @property
    def edges(self) -> dict[tuple[Function, Function], None]:
        """Every distinct edge, in the order of its first call."""
        return {
            (call.caller, call.callee): None
            for call in self.recorder.calls
            if call.caller is not None
        }

    @property
    def climbs(self) -> list[tuple[Function, Function]]:
        return [(caller, callee) for caller, callee in self.edges if callee.rank > caller.rank]

    @property
    def climbs_by_imports(self) -> list[tuple[Function, Function]]:
        return [(caller, callee) for caller, callee in self.edges if callee.floor > caller.floor]

    @property
    def into_the_vault(self) -> list[tuple[Function, Function]]:
        return [
            (caller, callee) for caller, callee in self.climbs if callee.module == "vault.vault"
        ]

    @property
    def handed(self) -> dict[tuple[Function, Function, str], None]:
        """Parts of the vault, handed as arguments: by whom, to whom, which."""
        return {
            (call.caller, call.callee, part): None
            for call in self.recorder.calls
            for part in call.parts
            if call.caller is not None
        }

    @property
    def trip(self) -> list[Call]:
        """The calls that the vault or a part of it takes part in."""
        return [
            call
            for call in self.recorder.calls
            if call.whole or call.parts or call.owner is not None
        ]

    @property
    def stays(self) -> list[Function]:
        """The trip's stays. A function is passed once; a module after itself is one stay."""
        stays: list[Function] = []
        for callee in dict.fromkeys(call.callee for call in self.trip):
            if not stays or stays[-1].module != callee.module:
                stays.append(callee)
        return stays

    @property
    def turns(self) -> list[tuple[Function, Function]]:
        """Where the trip goes up again."""
        return [(one, other) for one, other in pairwise(self.stays) if other.rank > one.rank]

    @property
    def turns_by_imports(self) -> int:
        return sum(other.floor > one.floor for one, other in pairwise(self.stays))


# --- the walks -----------------------------------------------------------------------------------


def entering_a_viewing(folder: Path) -> Recorder:
    """Two unlock at one screen, and the first segment is played."""
    with Recorder().listening() as heard, backoffice(folder) as back:
        recording = back.film()
        viewing = back.viewing(recording)
        unlock = unlocking(back, viewing, Purpose.COMPLAINT)
        with heard.recording():
            unlock()
            segment = back.screen("Carel").get(f"/viewings/{viewing}/{recording}/0.m4s")
        assert segment.status_code == 200
    return heard


def a_hand_over(folder: Path) -> Recorder:
    """The package of an open viewing is made, and fetched."""
    with Recorder().listening() as heard, backoffice(folder) as back:
        viewing = back.viewing(back.film(), Purpose.POLICE_REPORT)
        unlocking(back, viewing, Purpose.POLICE_REPORT)()
        begin = posting(
            back.screen("Petra"),
            f"/viewings/{viewing}/handover",
            receiver="politie",
            recipient=RECIPIENT,
        )
        with heard.recording():
            begin()
            package = back.web.packages.of(viewing)
            assert package is not None
            package.thread.join(60)
            fetched = back.screen("Petra").get(f"/viewings/{viewing}/handover/package")
        assert fetched.status_code == 200
    return heard


def a_sweep(folder: Path) -> Recorder:
    """The command that the timer runs destroys one recording and marks another."""
    with Recorder().listening() as heard, backoffice(folder) as back:
        here = back.office
        here.record()
        here.days(1)
        here.record()
        here.days(25)
        here.hours(25)
        here.days(1)
        config = folder / "vault.toml"
        config.write_text(
            f'root = "{here.settings.root}"\npins = "{here.settings.pins}"\nreserve_mb = 1\n'
        )
        with machine_clock(here.clock), heard.recording():
            done = CliRunner().invoke(
                commands, ["sweep", "--config", str(config)], catch_exceptions=False
            )
        assert "1 marked, 0 unmarked, 1 destroyed" in done.stdout, done.output
    return heard


def unlocking(back: BackOffice, viewing: str, purpose: Purpose) -> Callable[[], None]:
    """The form in which both prove themselves, ready to be sent."""
    first, second = PAIR[purpose]
    secrets = back.office.secrets
    answers = {"passphrase": secrets[first], "second": second, "second_passphrase": secrets[second]}
    codes = [condition.code for condition in PURPOSES[purpose].conditions]
    return posting(back.screen(first), f"/viewings/{viewing}/unlock", confirm=codes, **answers)


def posting(screen: Screen, path: str, **values: object) -> Callable[[], None]:
    """A form, ready to be sent. The page that shows its token is no part of a walk."""
    token = re.search(r'name="csrf" value="([^"]+)"', screen.get("/me").text)
    assert token is not None

    def post() -> None:
        answer = screen.http.post(
            path, data={**values, "csrf": token[1]}, headers={"origin": ORIGIN}
        )
        assert answer.status_code == 303, answer.text

    return post


@contextmanager
def machine_clock(clock: HandClock) -> Iterator[None]:
    """The machine's clocks show what this clock shows: a command asks the machine."""
    names = ("now", "monotonic_s", "since_boot_s", "boot_id", "is_synced")
    with ExitStack() as stack:
        for name in names:
            stack.enter_context(
                patch.object(SystemClock, name, lambda _, name=name: getattr(clock, name)())
            )
        yield


WALKS: tuple[tuple[str, Callable[[Path], Recorder]], ...] = (
    ("entering a viewing", entering_a_viewing),
    ("a hand-over", a_hand_over),
    ("a sweep", a_sweep),
)


# --- what is printed -----------------------------------------------------------------------------


def tree_lines(node: Node, depth: int, indent: int = 0) -> Iterator[str]:
    """The tree of calls, two spaces a level, down to `depth` levels."""
    for function, child in node.children.items():
        if indent == depth:
            yield "  " * indent + "…"
            return
        times = f" ×{child.times}" if child.times > 1 else ""
        yield f"{'  ' * indent}[{function.rank}] {function}{times}"
        yield from tree_lines(child, depth, indent + 1)


def told(walk: Walk, depth: int) -> Iterator[str]:
    """A walk as it is printed."""
    yield f"== {walk.name}"
    yield from tree_lines(walk.recorder.tree, depth)
    yield f"-- {walk.name}: climbs"
    yield from (
        f"   {caller} [{caller.rank}] -> {callee} [{callee.rank}]" for caller, callee in walk.climbs
    )
    yield f"-- {walk.name}: climbs by imports"
    yield from (
        f"   {caller} ({caller.floor}) -> {callee} ({callee.floor})"
        for caller, callee in walk.climbs_by_imports
    )
    yield f"-- {walk.name}: handed down and back"
    yield from (f"   {caller} -> {callee} ({part})" for caller, callee, part in walk.handed)
    yield f"-- {walk.name}: turns of the vault's trip"
    yield from (f"   {one} [{one.rank}] .. {other} [{other.rank}]" for one, other in walk.turns)


def summary(walk: Walk) -> str:
    counts = {
        "edges": len(walk.edges),
        "climbs": len(walk.climbs),
        "climbs by imports": len(walk.climbs_by_imports),
        "into the vault": len(walk.into_the_vault),
        "handed down and back": len(walk.handed),
        "turns": len(walk.turns),
        "turns by imports": walk.turns_by_imports,
    }
    return f"{walk.name}: " + ", ".join(f"{count} {name}" for name, count in counts.items())


def main() -> None:
    parser = argparse.ArgumentParser(
        description="The calls of three walks from page to bytes, and what climbs."
    )
    parser.add_argument("--depth", type=int, default=7, help="how deep the trees are printed")
    depth = parser.parse_args().depth
    walks = []
    for name, walked in WALKS:
        with tempfile.TemporaryDirectory() as folder:
            walks.append(Walk(name, walked(Path(folder))))
    for walk in walks:
        for line in told(walk, depth):
            print(line)
    for walk in walks:
        print(summary(walk))


if __name__ == "__main__":
    main()
