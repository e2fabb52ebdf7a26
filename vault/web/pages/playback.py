"""The content of an open viewing, as the player asks for it: playlist, init, segments, or ranges of
whole files.

Nothing answers here without a viewing that is open at this screen. Each span is opened on request,
told to the log before its first byte goes out, and kept nowhere.
"""

import re
from collections.abc import Iterator

from starlette.responses import Response, StreamingResponse

from vault.custody.viewing.timeline import Frame, Reel, playlist
from vault.custody.viewing.viewing_requests import VIEWERS
from vault.custody.viewing.viewing_session import Span
from vault.web.live_viewings import SPAN_BYTES
from vault.web.request import NotFound, Visit
from vault.web.routing import Routes

routes = Routes()

RANGE_BYTES = 1 << 20
"""What one range request gives at most."""
_RANGE = re.compile(r"bytes=(\d{1,15})-(\d{0,15})")
BASE = "/viewings/{viewing}/{recording}"


@routes.page(f"{BASE}/playlist.m3u8", *VIEWERS)
def list_segments(visit: Visit) -> Response:
    reel = _reel(visit)
    if reel.init_bytes is None:
        raise NotFound("This recording is played file by file.")
    return Response(playlist(reel), media_type="application/vnd.apple.mpegurl")


@routes.page(f"{BASE}/init.mp4", *VIEWERS)
def init(visit: Visit) -> Response:
    reel = _reel(visit)
    if reel.init_bytes is None or not reel.files:
        raise NotFound("This recording is played file by file.")
    return _stream(visit, reel.files[0], 0, reel.init_bytes, "video/mp4")


@routes.page(f"{BASE}/{{number:int}}.m4s", *VIEWERS)
def segment(visit: Visit) -> Response:
    """A segment without its init, which all share."""
    reel = _reel(visit)
    frame = _frame(visit, reel)
    if reel.init_bytes is None:
        raise NotFound("This recording is played file by file.")
    return _stream(visit, frame, reel.init_bytes, frame.size_bytes, "video/iso.segment")


@routes.page(f"{BASE}/{{number:int}}.file", *VIEWERS)
def whole(visit: Visit) -> Response:
    """A range of a file that is played whole; at most `RANGE_BYTES` at once, whatever is asked."""
    reel = _reel(visit)
    frame = _frame(visit, reel)
    if reel.init_bytes is not None:
        raise NotFound("This recording is played in segments.")
    found = _RANGE.fullmatch(visit.request.headers.get("range", "bytes=0-"))
    start = int(found.group(1)) if found else 0
    if found is None or start >= frame.size_bytes:
        return Response(status_code=416, headers={"Content-Range": f"bytes */{frame.size_bytes}"})
    last = int(found.group(2)) if found.group(2) else frame.size_bytes - 1
    stop = min(frame.size_bytes, last + 1, start + RANGE_BYTES)
    if stop <= start:
        return Response(status_code=416, headers={"Content-Range": f"bytes */{frame.size_bytes}"})
    answer = _stream(visit, frame, start, stop, "video/mp4")
    answer.status_code = 206
    answer.headers["Content-Range"] = f"bytes {start}-{stop - 1}/{frame.size_bytes}"
    answer.headers["Accept-Ranges"] = "bytes"
    return answer


def _reel(visit: Visit) -> Reel:
    return visit.office.rooms.reel(visit.path("viewing"), visit.path("recording"), visit.screen)


def _frame(visit: Visit, reel: Reel) -> Frame:
    number = int(visit.path("number"))
    if number >= len(reel.files):
        raise NotFound("This recording has no such file.")
    return reel.files[number]


def _stream(visit: Visit, frame: Frame, start: int, stop: int, media_type: str) -> Response:
    """Spans of `SPAN_BYTES`, each told to the log before it is given out.

    The first is opened here, so that a refusal is an answer and not a torn picture; a refusal
    further on ends the answer short of its stated length, which a player takes for an error.
    """
    rooms, viewing, screen = visit.office.rooms, visit.path("viewing"), visit.screen
    recording, name = visit.path("recording"), frame.sealed_name or ""

    def show(at: int) -> bytes:
        return rooms.show(viewing, Span(recording, name, at, min(at + SPAN_BYTES, stop)), screen)

    first = show(start)
    headers = {"Content-Length": str(stop - start)}
    if start + SPAN_BYTES >= stop:
        return Response(first, media_type=media_type)

    def spans() -> Iterator[bytes]:
        yield first
        for at in range(start + SPAN_BYTES, stop, SPAN_BYTES):
            yield show(at)

    return StreamingResponse(spans(), media_type=media_type, headers=headers)
