"""What `dockd once` and `dockd status` show on a terminal, and as plain lines where
there is none.
"""

import contextlib
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import wait as wait_for
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from dockd.display.kiosk.tiles import tiles
from dockd.display.status import StatusRefusedError
from dockd.docking.bay import Bay, BayState, Phase
from dockd.docking.outcome import Outcome, PullReport
from dockd.mounted.volumes import Volume
from dockd.usb.bus import UsbDevice
from vault.clock import utc_text
from vault.recording import Wholeness

REDRAW_S = 0.2


def follow(console: Console, bay: Bay, work: "Future[PullReport]") -> PullReport:
    """Show a bay until the work in it is done; its report, or what it raised."""
    if console.is_terminal:
        with Live(console=console, auto_refresh=False, transient=True) as live:
            while not wait_for([work], REDRAW_S).done:
                live.update(state_line(bay.state), refresh=True)
        return work.result()
    before: tuple[object, ...] = ()
    while not wait_for([work], REDRAW_S).done:
        state = bay.state
        now = (state.phase, state.camera, state.recording_number, state.message)
        if now != before:
            console.print(state_line(state), soft_wrap=True)
        before = now
    return work.result()


def state_line(state: BayState) -> Text:
    """`BWC0042  pulling 3 of 7  51.2 of 120.0 MB  88.1 MB/s  1 s left`"""
    parts = [state.camera or "?", state.phase.value]
    if state.recording_count:
        parts[-1] += f" {state.recording_number} of {state.recording_count}"
    if state.phase is Phase.PULLING and state.bytes_total:
        parts.append(f"{_mb(state.bytes_done)} of {_mb(state.bytes_total)} MB")
        if state.bytes_per_s:
            parts.append(f"{_mb(state.bytes_per_s)} MB/s")
    if state.seconds_left is not None:
        parts.append(f"{state.seconds_left} s left")
    if state.message:
        parts.append(state.message)
    return Text("  ".join(parts))


def show_report(console: Console, report: PullReport) -> None:
    """The table of recordings, what was said of the camera, and the bay's last word."""
    table = Table(title=f"{report.serial}: {len(report.outcomes)} recordings")
    for heading in (
        "recording",
        "triggered",
        "length",
        "pre-roll",
        "size",
        "sealed",
        "read back",
        "erased",
    ):
        table.add_column(
            heading, justify="right" if heading in ("length", "size") else "left", overflow="fold"
        )
    for outcome in report.outcomes:
        table.add_row(*(Text(cell) for cell in _row(outcome, report.erase_wanted)))
    console.print(table)
    for problem in dict.fromkeys(problem.sentence for problem in report.problems):
        console.print(Text(problem, style="red"))
    for remark in report.remarks:
        console.print(Text(remark, style="yellow"))
    for outcome in report.outcomes:
        for finding in outcome.verdict.findings if outcome.verdict is not None else ():
            console.print(Text(f"{outcome.name}: {finding}", style="yellow"))
    console.print(
        Text(
            f"{report.phase.value}: {report.message}",
            style="bold green" if report.done else "bold red",
        )
    )


def show_status(console: Console, document: dict[str, Any]) -> None:
    """The document of the status socket as a table."""
    table = Table(title=f"dockd at {document['now_utc']}")
    for heading in ("bay", "camera", "state", "recording", "MB", "MB/s", "left", "message"):
        table.add_column(heading, overflow="fold")
    for bay in document["bays"]:
        count = (
            f"{bay['recording_number']} of {bay['recording_count']}"
            if bay["recording_count"]
            else ""
        )
        size = (
            f"{_mb(bay['bytes_done'])} of {_mb(bay['bytes_total'])}" if bay["bytes_total"] else ""
        )
        rate = _mb(bay["bytes_per_s"]) if bay["bytes_per_s"] else ""
        left = f"{bay['seconds_left']} s" if bay["seconds_left"] is not None else ""
        cells = (
            bay["bay"],
            bay["camera"] or "",
            bay["phase"],
            count,
            size,
            rate,
            left,
            bay["message"],
        )
        table.add_row(*(Text(cell) for cell in cells))
    console.print(table if document["bays"] else Text("No camera is docked."))
    counters = document["counters"]
    console.print(
        Text(
            f"Since {document['started_utc']}: {counters['cameras_docked']} cameras docked, "
            f"{counters['recordings_stored']} recordings stored "
            f"({_mb(counters['bytes_stored'])} MB), "
            f"{counters['recordings_erased']} erased, {counters['alarms']} alarms."
        )
    )


_STYLES = {
    "green": "bold white on dark_green",
    "blue": "white on blue",
    "amber": "black on yellow",
    "red": "bold white on red",
}


def watch_status(
    console: Console, ask: Callable[[], dict[str, Any]], stop: threading.Event
) -> None:
    """The bays as they change, until `stop` or Ctrl-C. A dock that does not answer is waited for.

    On a terminal the table is drawn anew; elsewhere a line is printed for each change.
    """
    before: Any = None
    with (
        contextlib.suppress(KeyboardInterrupt),
        Live(console=console, auto_refresh=False, transient=False) as live,
    ):
        while not stop.is_set():
            try:
                shown: Table | Text = watch_table(ask())
            except StatusRefusedError as refused:
                shown = Text(f"{refused.sentence} Waiting for it.", style="bold red")
            told = _told(shown)
            if told != before and not console.is_terminal:
                live.console.print(shown)
            elif console.is_terminal:
                live.update(shown, refresh=True)
            before = told
            stop.wait(REDRAW_S)


def watch_table(document: dict[str, Any]) -> Table | Text:
    """The bays for people who stand at a terminal: as the dock's page says them."""
    shown = tiles(document, "en")
    if not shown:
        return Text("No camera is docked.")
    table = Table(title=f"dockd at {document['now_utc']}")
    for heading in ("bay", "camera", "state", "progress"):
        table.add_column(heading, no_wrap=True)
    table.add_column("what to do", overflow="fold")
    for tile in shown:
        state = Text(f" {tile['sign']} {tile['word']} ", style=_STYLES[tile["lamp"]])
        do = " ".join(
            filter(None, (tile["do"], tile["reports"] and f"{tile['reports']}.", tile["detail"]))
        )
        progress = "\n".join(filter(None, (tile["count"], tile["rate"], tile["left"])))
        camera = "\n".join(filter(None, (tile["camera"], tile["whose"])))
        table.add_row(Text(tile["bay"]), Text(camera), state, Text(progress), Text(do))
    return table


def _told(shown: Table | Text) -> str:
    if isinstance(shown, Text):
        return shown.plain
    return repr([list(column.cells) for column in shown.columns])


def show_places(console: Console, volumes: Sequence[Volume], devices: Sequence[UsbDevice]) -> None:
    """What stands at the dock: the place that `dockd once` takes, and what the vault would know the
    camera by.
    """
    if not volumes and not devices:
        console.print(Text("No card is mounted where dockd looks, and no camera is on the USB."))
        return
    table = Table("place", "name without a manifest", "", title="At the dock")
    for volume in volumes:
        table.add_row(Text(str(volume.mountpoint)), Text(volume.volume_id), Text(volume.filesystem))
    for device in devices:
        table.add_row(
            Text(device.bay.replace(" ", ":", 1)),
            Text(device.volume_id),
            Text(device.refusal or "camera"),
        )
    console.print(table)


def _row(outcome: Outcome, erase_wanted: bool) -> tuple[str, ...]:
    claim, verdict = outcome.claim, outcome.verdict
    triggered = (
        utc_text(claim.triggered_utc)
        if claim is not None and claim.triggered_utc is not None
        else "not stated"
    )
    held = "yes" if verdict is not None else "held before" if outcome.stored else "no"
    if outcome.erased:
        erased = "yes"
    elif outcome.stored:
        erased = "NO" if erase_wanted else "switched off"
    else:
        erased = "no"
    return (
        outcome.name,
        triggered if claim is not None else "",
        _length(outcome),
        _preroll(outcome),
        f"{_mb(claim.size_bytes)} MB" if claim is not None else "",
        held,
        held,
        erased,
    )


def _length(outcome: Outcome) -> str:
    if outcome.verdict is not None and outcome.verdict.duration_ms is not None:
        return _seconds(outcome.verdict.duration_ms)
    claim = outcome.claim
    if (
        claim is not None
        and claim.started_mono_ms is not None
        and claim.stopped_mono_ms is not None
    ):
        return _seconds(claim.stopped_mono_ms - claim.started_mono_ms)
    return ""


def _preroll(outcome: Outcome) -> str:
    """What the camera states to have delivered, and whether the dock saw it so."""
    claim, verdict = outcome.claim, outcome.verdict
    if claim is None:
        return ""
    if claim.preroll is None:
        return "not stated"
    delivered = _seconds(claim.preroll.delivered_ms)
    if verdict is None:
        return delivered
    measured = _seconds(verdict.preroll_ms) if verdict.preroll_ms is not None else "?"
    return (
        f"{delivered}, verified"
        if verdict.wholeness is Wholeness.WHOLE
        else f"{delivered}, NOT as stated: {measured}"
    )


def _seconds(duration_ms: int) -> str:
    return f"{duration_ms / 1000:.1f} s"


def _mb(size_bytes: int) -> str:
    return f"{size_bytes / 1_000_000:.1f}"
