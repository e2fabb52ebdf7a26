"""The content of an open viewing, as the player asks for it: playlist, init, segments, or ranges of
whole files.

Nothing answers here without a viewing that is open at this screen. Each span is opened on request,
told to the log before its first byte goes out, and kept nowhere.
"""

import re
from collections.abc import Iterator

from starlette.responses import Response, StreamingResponse

from vault.custody.viewing.timeline import Frame, Timeline, playlist
from vault.custody.viewing.viewing_requests import VIEWERS
from vault.custody.viewing.viewing_session import Span
from vault.web.live_viewings import SPAN_BYTES
from vault.web.request import NotFound, PageRequest
from vault.web.routing import Routes

routes = Routes()

RANGE_BYTES = 1 << 20
"""What one range request gives at most."""
_RANGE = re.compile(r"bytes=(\d{1,15})-(\d{0,15})")
BASE = "/viewings/{viewing}/{recording}"


@routes.page(f"{BASE}/playlist.m3u8", *VIEWERS)
def list_segments(page: PageRequest) -> Response:
    timeline = _timeline(page)
    if timeline.init_bytes is None:
        raise NotFound("This recording is played file by file.")
    return Response(playlist(timeline), media_type="application/vnd.apple.mpegurl")


@routes.page(f"{BASE}/init.mp4", *VIEWERS)
def init(page: PageRequest) -> Response:
    timeline = _timeline(page)
    if timeline.init_bytes is None or not timeline.files:
        raise NotFound("This recording is played file by file.")
    return _stream(page, timeline.files[0], 0, timeline.init_bytes, "video/mp4")


@routes.page(f"{BASE}/{{number:int}}.m4s", *VIEWERS)
def segment(page: PageRequest) -> Response:
    """A segment without its init, which all share."""
    timeline = _timeline(page)
    frame = _frame(page, timeline)
    if timeline.init_bytes is None:
        raise NotFound("This recording is played file by file.")
    return _stream(page, frame, timeline.init_bytes, frame.size_bytes, "video/iso.segment")


@routes.page(f"{BASE}/{{number:int}}.file", *VIEWERS)
def whole(page: PageRequest) -> Response:
    """A range of a file that is played whole; at most `RANGE_BYTES` at once, whatever is asked."""
    timeline = _timeline(page)
    frame = _frame(page, timeline)
    if timeline.init_bytes is not None:
        raise NotFound("This recording is played in segments.")
    found = _RANGE.fullmatch(page.request.headers.get("range", "bytes=0-"))
    start = int(found.group(1)) if found else 0
    if found is None or start >= frame.size_bytes:
        return Response(status_code=416, headers={"Content-Range": f"bytes */{frame.size_bytes}"})
    last = int(found.group(2)) if found.group(2) else frame.size_bytes - 1
    stop = min(frame.size_bytes, last + 1, start + RANGE_BYTES)
    if stop <= start:
        return Response(status_code=416, headers={"Content-Range": f"bytes */{frame.size_bytes}"})
    answer = _stream(page, frame, start, stop, "video/mp4")
    answer.status_code = 206
    answer.headers["Content-Range"] = f"bytes {start}-{stop - 1}/{frame.size_bytes}"
    answer.headers["Accept-Ranges"] = "bytes"
    return answer


def _timeline(page: PageRequest) -> Timeline:
    return page.application.live_viewings.timeline(
        page.path("viewing"), page.path("recording"), page.screen
    )


def _frame(page: PageRequest, timeline: Timeline) -> Frame:
    number = int(page.path("number"))
    if number >= len(timeline.files):
        raise NotFound("This recording has no such file.")
    return timeline.files[number]


def _stream(page: PageRequest, frame: Frame, start: int, stop: int, media_type: str) -> Response:
    """Spans of `SPAN_BYTES`, each told to the log before it is given out.

    The first is opened here, so that a refusal is an answer and not a torn picture; a refusal
    further on ends the answer short of its stated length, which a player takes for an error.
    """
    live_viewings, viewing, screen = (
        page.application.live_viewings,
        page.path("viewing"),
        page.screen,
    )
    recording, name = page.path("recording"), frame.sealed_name or ""

    def show(at: int) -> bytes:
        return live_viewings.show(
            viewing, Span(recording, name, at, min(at + SPAN_BYTES, stop)), screen
        )

    first = show(start)
    headers = {"Content-Length": str(stop - start)}
    if start + SPAN_BYTES >= stop:
        return Response(first, media_type=media_type)

    def spans() -> Iterator[bytes]:
        yield first
        for at in range(start + SPAN_BYTES, stop, SPAN_BYTES):
            yield show(at)

    return StreamingResponse(spans(), media_type=media_type, headers=headers)
