"""`make run`: two cameras work a shift, one is docked by its card and one over USB; the vault shows
what it holds, and a complaint goes its way: registered, viewed by two, and told by the log. Then
the dock's page and the back office stay open, with the cameras at hand, until Ctrl-C; with
HEADLESS=1 each is asked for its page, and the run ends.

Only public commands are called.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import threading
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from rich.console import Console
from rich.live import Live
from rich.rule import Rule

from dockd.display.screen import watch_table
from dockd.display.status import ask_status
from tests.support.places import REPOSITORY

FOLDER = REPOSITORY / "run"
PROGRAMS = Path(sysconfig.get_path("scripts"))

SHIFTS = {
    "BWC0042": "standby 45 s\non\n95 s\noff\nstandby 12 s\non\n40 s\noff\nstandby 300 "
    "s\non\n30 s\ndock\n",
    "BWC0043": "standby 8 s\non\n60 s\noff\nstandby 240 s\non\n150 s\noff\nstandby 20 s\ndock\n",
}
"""Re-triggered within its pre-roll, docked while recording; switched on eight seconds after it was
put on.
"""
BY_CARD, OVER_USB = SHIFTS

HEADLESS = os.environ.get("HEADLESS", "") not in ("", "0")
BUSY = ("identifying", "pulling", "checking", "erasing")

console = Console(width=max(100, Console().width), highlight=False)


def call(program: str, *words: object, typed: str = "") -> str:
    """Run one of the project's programs; its output. A failure ends the demonstration with what the
    program said.
    """
    done = subprocess.run(
        [str(PROGRAMS / program), *map(str, words)],
        input=typed,
        capture_output=True,
        text=True,
        check=False,
        env={"COLUMNS": "98", "PATH": "/usr/bin:/bin"},
    )
    if done.returncode:
        console.print(done.stdout + done.stderr, style="red")
        sys.exit(f"{program} {' '.join(map(str, words))} ended with {done.returncode}")
    return done.stdout


def official(who: str, *words: object) -> None:
    """A command of the vault by one person, or by two (`"CM+GS"`), shown as it is typed, with its
    answer.
    """
    console.print(f"[dim]{who}:[/dim] vault {' '.join(map(str, words))}")
    console.print(call_as(who, *words), end="", markup=False)


def call_as(who: str, *words: object) -> str:
    """What a command of the vault answers; the demonstration passphrases are typed in."""
    secrets = json.loads((FOLDER / "demo-passphrases.json").read_text())
    people = who.split("+")
    named = [word for person in people for word in ("--as", person)]
    typed = "".join(secrets[person] + "\n" for person in people)
    return call("vault", *words, *named, "--config", FOLDER / "vault.toml", typed=typed)


def step(text: str) -> None:
    console.print(Rule(text, align="left"))


def main() -> None:
    shutil.rmtree(FOLDER, ignore_errors=True)
    (FOLDER / "bays").mkdir(parents=True)
    config = FOLDER / "vault.toml"
    step("A vault with a keyring for five functions and the escrow")
    console.print(
        call("vault", "init", "--config", config, "--root", FOLDER / "vault", "--demo"), end=""
    )
    for serial, shift in SHIFTS.items():
        step(f"Camera {serial} works a shift")
        camera = FOLDER / serial
        call("device-sim", "create", camera, "--serial", serial, "--officer", f"boa-{serial[-2:]}")
        (FOLDER / f"{serial}.shift").write_text(shift)
        console.print(call("device-sim", "play", camera, FOLDER / f"{serial}.shift"), end="")
        official("BC", "camera", "add", serial, "--card", camera / "card")
    step(f"{BY_CARD} is docked by its card, {OVER_USB} over USB")
    with usb_camera(FOLDER / OVER_USB) as served, running_dock(config, served.bus) as status_socket:
        call("device-sim", "insert", FOLDER / BY_CARD, FOLDER / "bays")
        states = watch(status_socket)
        console.print()
    call("device-sim", "pull", FOLDER / BY_CARD)
    step("What the vault holds")
    official("CM", "list")
    console.print(call("vault", "verify", "--config", config), end="")
    step("A complaint: registered, viewed by two, told by the log")
    complaint()
    console.print(
        f"\nEverything of this run stands in {FOLDER}; try `{PROGRAMS / 'vault'} --help`."
    )
    pages(config)
    if any(phase != "safe to take" for phase in states.values()):
        sys.exit(f"not every camera came to 'safe to take': {states}")


def pages(vault_config: Path) -> None:
    """The dock's page and the back office, until Ctrl-C; headless, until each has answered."""
    step("The pages: the dock's own, and the back office")
    dock_port, office_port = free_port(8470), free_port(8480)
    office = f"http://localhost:{office_port}"
    with vault_config.open("a") as settings:
        web = {
            "listen": f"127.0.0.1:{office_port}",
            "origin": office,
            "packages": "packages",
            "dock_status": "status.sock",
        }
        settings.write(
            "\n[web]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in web.items())
        )
    page = {"page": f"127.0.0.1:{dock_port}", "back_office": office}
    with ExitStack() as stack:
        served = stack.enter_context(usb_camera(FOLDER / OVER_USB))
        stack.enter_context(running_dock(vault_config, served.bus, page))
        stack.enter_context(program("dockd", "page", "--config", FOLDER / "dockd.toml"))
        stack.enter_context(program("vault", "web", "--demo", "--config", vault_config))
        dock = f"http://127.0.0.1:{dock_port}/"
        for address in (dock, f"{office}/sign-in"):
            wait_for(address)
        console.print(f"The dock's page:  {dock}\nThe back office:  {office}/", highlight=False)
        console.print(
            "Sign in as PO, CM, BC, GS, VC, TB, “Officer 42” or “Officer 43”; the sign-in "
            "page shows their passphrases."
        )
        if not HEADLESS:
            at_hand(served)


def at_hand(served: "Served") -> None:
    """Dock and undock the cameras, by typed lines, until Ctrl-C or the end of the input."""
    console.print(
        f"Type [bold]1[/bold] to dock or take {BY_CARD} (card), [bold]2[/bold] for {OVER_USB} "
        f"(USB); Ctrl-C ends."
    )
    console.print(
        f"In another terminal: {PROGRAMS / 'dockd'} watch --config {FOLDER / 'dockd.toml'}"
    )
    docked = {BY_CARD: False, OVER_USB: True}
    with suppress(KeyboardInterrupt):
        while line := sys.stdin.readline():
            match line.strip():
                case "1":
                    words = (
                        ("pull", FOLDER / BY_CARD)
                        if docked[BY_CARD]
                        else ("insert", FOLDER / BY_CARD, FOLDER / "bays")
                    )
                    if not docked[BY_CARD]:
                        another_use(FOLDER / BY_CARD)
                    console.print(call("device-sim", *words), end="")
                    docked[BY_CARD] = not docked[BY_CARD]
                case "2":
                    served.say("unplug 1-1" if docked[OVER_USB] else "plug 1-1")
                    docked[OVER_USB] = not docked[OVER_USB]
                case _:
                    console.print("1 or 2; Ctrl-C ends.")
        # No terminal to type at: the pages stay until the process is told to end.
        threading.Event().wait()


def another_use(camera: Path) -> None:
    """The camera is worn once more, so that there is something to take in."""
    script = FOLDER / "another.shift"
    script.write_text("standby 40 s\non\n20 s\noff\ndock\n")
    call("device-sim", "play", camera, script)


def free_port(wanted: int) -> int:
    """The wanted port, or another where that one is taken."""
    for port in (wanted, 0):
        with socket.socket() as tried, suppress(OSError):
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind(("127.0.0.1", port))
            return int(tried.getsockname()[1])
    raise SystemExit("no port is free on this machine")


def wait_for(address: str) -> None:
    """Until a page answers with its own content."""
    for _ in range(600):
        with suppress(OSError), urllib.request.urlopen(address, timeout=5) as answer:
            if answer.status == 200 and b"<h1" in answer.read():
                return
        threading.Event().wait(0.1)
    sys.exit(f"{address} did not answer within a minute")


@contextmanager
def program(*words: object) -> Iterator[None]:
    """One of the project's programs in the background, until the block ends."""
    with (FOLDER / f"{words[0]}-{words[1]}.journal").open("wb") as journal:
        running = subprocess.Popen(
            [str(PROGRAMS / str(words[0])), *map(str, words[1:])], stdout=journal, stderr=journal
        )
        try:
            yield
        finally:
            running.terminate()
            running.wait(timeout=30)


def complaint() -> None:
    """From the officer's report to what the log tells of the viewing."""
    listed = [json.loads(line) for line in call_as("CM", "list", "--json").splitlines()]
    newest = next(row for row in reversed(listed) if row["camera_serial"] == BY_CARD)
    recording, used = newest["id"][:8], newest["triggered_utc"]
    answers = (
        "--cause",
        "threatened",
        "--event",
        "pushed away",
        "--announced",
        "--announcement",
        "said aloud",
    )
    informed = ("--informed", "--information", "leaflet given")
    official(
        "Officer 42",
        "report",
        "file",
        recording,
        "--used",
        used,
        "--location",
        "public_space",
        *answers,
        *informed,
    )
    official(
        "CM",
        "case",
        "register",
        "complaint",
        "K-2026-7",
        recording,
        "--received",
        used,
        "--text",
        "rude",
    )
    official("PO", "why", recording)
    official("CM", "view", "request", "complaint", recording, "--case", "K-2026-7")
    wanted = json.loads(call_as("CM", "view", "list", "--json").splitlines()[-1])["viewing"]["id"][
        :8
    ]
    conditions = ("--confirm", "location", "--confirm", "nobody_else", "--confirm", "no_copy")
    official("CM+GS", "view", "open", wanted, *conditions)
    official("PO", "log", "--last", "12")


@dataclass(frozen=True)
class Served:
    """A camera that is served over USB/IP: the bus as `usb_backend` names it, and the process to
    tell to plug and unplug.
    """

    bus: str
    process: subprocess.Popen[str]

    def say(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()


@contextmanager
def usb_camera(camera: Path) -> Iterator["Served"]:
    """The camera as a USB device, served over USB/IP until the block ends."""
    with subprocess.Popen(
        [PROGRAMS / "device-sim", "dock", camera, "--usbip", "127.0.0.1:0"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={"PYTHONUNBUFFERED": "1"},
    ) as served:
        assert served.stdout is not None
        address = served.stdout.readline().split()[-1]
        console.print(served.stdout.readline().split(";")[0])
        try:
            yield Served(f"usbip:{address}", served)
        finally:
            served.terminate()


@contextmanager
def running_dock(
    vault_config: Path, bus: str, more: Mapping[str, str] = MappingProxyType({})
) -> Iterator[Path]:
    """The daemon, until the block ends; its journal goes to a file."""
    config, status_socket = FOLDER / "dockd.toml", FOLDER / "status.sock"
    lines = {
        "vault": vault_config,
        "watched_folder": FOLDER / "bays",
        "status_socket": status_socket,
        "usb_backend": bus,
        **more,
    }
    config.write_text(
        "".join(f"{key} = {json.dumps(str(value))}\n" for key, value in lines.items())
    )
    (FOLDER / "notify.sock").unlink(missing_ok=True)
    ready = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    ready.bind(str(FOLDER / "notify.sock"))
    ready.settimeout(60)
    with (FOLDER / "dockd.journal").open("wb") as journal:
        dock = subprocess.Popen(
            [PROGRAMS / "dockd", "run", "--config", config],
            stderr=journal,
            env={"NOTIFY_SOCKET": str(FOLDER / "notify.sock")},
        )
        try:
            while b"READY=1" not in ready.recv(65536):
                pass
            yield status_socket
        finally:
            ready.close()
            dock.terminate()
            dock.wait(timeout=60)


def watch(status_socket: Path) -> dict[str, str]:
    """Show the bays until each has come to rest; camera to its last phase."""
    pause = threading.Event()
    with Live(console=console, refresh_per_second=10) as live:
        while True:
            document = ask_status(status_socket)
            live.update(watch_table(document))
            phases = {bay["camera"]: bay["phase"] for bay in document["bays"] if bay["camera"]}
            if len(phases) == len(SHIFTS) and not any(phase in BUSY for phase in phases.values()):
                return phases
            pause.wait(0.1)


if __name__ == "__main__":
    main()
