"""A card over PTP/MTP, on any camera of the still image class.

An object is known by the path that its parents give it. Its handle is a number that is good for one
session, and is believed only together with name, parent, size and time, which are asked for again
before each reading and each deletion (fault A6).

Bytes are asked for with GetPartialObject64, else GetPartialObject, else GetObject, whichever the
camera has; where one way breaks or falls short the next goes on from the last byte that was
confirmed (A4). A file that is read a second time is read another way, where there is one: two
readings that agree then agree over two ways.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from types import TracebackType
from typing import Self

from dockd.card.contract import (
    DEFAULT_LIMITS,
    CardDeleteFailedError,
    CardFile,
    CardFileChangedError,
    CardLimits,
    CardReadFailedError,
    CardReadOnlyError,
    CardStuckError,
    CardTrouble,
    shown,
)
from dockd.usb.initiator import Initiator, RequestRefusedError, TransactionBrokenError
from dockd.usb.mtp_listing import EPOCH, MtpListing, MtpPlace, object_now
from dockd.usb.mtp_stream import MtpStream
from dockd.usb.ptp import (
    ALL_FORMATS,
    FOLDER,
    WHOLE_LENGTH_UNKNOWN,
    DateTime,
    DeviceInfo,
    MalformedError,
    ObjectInfo,
    Operation,
    Property,
    Response,
    decode_handles,
    decode_text,
    encode_text,
)
from dockd.usb.session import NEVER, PtpSession
from vault.clock import Clock

TICK_LOOK_S = 1.25
"""How long the camera's clock is watched for its next tick: a little longer than a clock without
tenths takes.
"""
OFFSET_ERROR_MAX_S = 0.05
"""An offset that is not sure to this is not stated."""

OFFSET_LOOKS_MAX = 5000
LISTINGS_MAX = 3

_READ_ONLY = frozenset(
    {Response.OBJECT_WRITE_PROTECTED, Response.STORE_READ_ONLY, Response.ACCESS_DENIED}
)


class MtpCard:
    """A `Card` on a docked USB camera. Any thread; the session takes them one by one."""

    def __init__(
        self, session: PtpSession, clock: Clock, limits: CardLimits = DEFAULT_LIMITS
    ) -> None:
        """Opens a session. Raises CardGoneError, CardStuckError, CardBusyError, CardForbiddenError, DeviceRefusedError."""
        self._session = session
        self._clock = clock
        self._limits = limits
        self._device = session.begin_session()
        self._open = True
        self._epoch = NEVER
        self._below: tuple[str, ...] = ()
        self._files: dict[tuple[str, ...], tuple[CardFile, MtpPlace]] = {}
        self._folders: dict[tuple[str, ...], MtpPlace] = {}
        self._trouble: tuple[CardTrouble, ...] = ()

    @property
    def where(self) -> str:
        """The USB port, for people."""
        return self._session.where

    @property
    def device(self) -> DeviceInfo:
        """Who the camera says it is. A hint: the serial of the wire identifies
        nobody (fault A11).
        """
        return self._device

    @property
    def trouble(self) -> tuple[CardTrouble, ...]:
        """What the last listing had to leave out."""
        return self._trouble

    def files(self, below: tuple[str, ...] = ()) -> tuple[CardFile, ...]:
        """Every object that is a file, sorted by path. CardRefusedError beyond the limits. Fault A13."""
        with self._asking("The card can't be listed") as initiator:
            for _ in range(LISTINGS_MAX):
                epoch = self._session.epoch
                listing = MtpListing(initiator, self._clock, self._limits, self.where, self._device)
                listing.walk(below)
                if self._session.epoch == epoch:
                    break
            else:
                # A session that broke in the middle: half of the handles are good for nothing.
                raise CardStuckError(f"The camera at {self.where} can't be listed in one session.")
            self._epoch, self._below = epoch, below
            self._files, self._folders, self._trouble = (
                listing.files,
                listing.folders,
                tuple(listing.trouble),
            )
        return tuple(sorted((file for file, _ in self._files.values()), key=lambda file: file.path))

    def open(self, file: CardFile, offset: int = 0) -> "MtpStream":
        """A reader from `offset` on. CardFileChangedError, CardReadFailedError, CardGoneError, CardStuckError."""
        with self._asking(f"{file.shown} can't be opened"):
            self.identified(file)
        return MtpStream(self, self._session, file, offset, self._ways(file))

    def delete(self, file: CardFile) -> None:
        """Identify by name, folder, size and time again, and delete.

        The answer OK is the camera's word, not more: the listing of a new session decides (fault
        A7).
        """
        with self._asking(f"{file.shown} can't be erased") as initiator:
            place = self.identified(file)
            try:
                initiator.order(Operation.DELETE_OBJECT, place.handle, ALL_FORMATS)
            except RequestRefusedError as refused:
                if refused.code in _READ_ONLY:
                    raise CardReadOnlyError(
                        f"{file.shown} can't be erased: the camera at {self.where} protects it."
                    ) from refused
                raise CardDeleteFailedError(
                    f"{file.shown} was not erased: the camera answered {refused.code:#06x}."
                ) from refused
            except TransactionBrokenError as broken:
                raise CardDeleteFailedError(
                    f"{file.shown} was not erased for certain: {broken}."
                ) from broken

    def delete_folder(self, path: tuple[str, ...]) -> bool:
        """Remove a folder if it is empty; a camera deletes a full one with all that is in it, so it
        is looked into first.
        """
        with self._asking(f"The folder {shown(path)} can't be erased") as initiator:
            if not self._knows(path):
                self.files(path)
            place = self._folders.get(path)
            if place is None:
                return True
            if decode_handles(
                initiator.ask(
                    Operation.GET_OBJECT_HANDLES, place.storage, ALL_FORMATS, place.handle
                ),
                "folder",
            ):
                return False
            info = ObjectInfo.decode(initiator.ask(Operation.GET_OBJECT_INFO, place.handle))
            if (info.format, info.name, info.parent) != (FOLDER, path[-1], place.parent):
                raise CardFileChangedError(
                    f"{shown(path)} is no longer the folder that was listed."
                )
            try:
                initiator.order(Operation.DELETE_OBJECT, place.handle, ALL_FORMATS)
            except (RequestRefusedError, TransactionBrokenError) as error:
                raise CardDeleteFailedError(
                    f"The empty folder {shown(path)} was not erased: {error}."
                ) from error
            del self._folders[path]
            return True

    def clock_offset_ms(self) -> int | None:
        """Camera minus dock, sure to 50 ms, measured at a tick of the camera's clock. None where
        the camera has no clock to show, or answers too slowly for that.

        A camera that names no zone is taken to show the local time of the place where it is docked.
        """
        if Property.DATE_TIME not in self._device.properties:
            return None
        try:
            with self._asking("The camera's clock can't be read") as initiator:
                return self._offset_at_tick(initiator)
        except CardReadFailedError:
            return None

    def set_clock(self, moment: datetime) -> bool:
        """Set the camera's clock, in the form in which it shows it, on a tick of ours.

        `moment` is the time now: how long the waiting for the tick takes is added. False where the
        camera has none to set.
        """
        if (
            Property.DATE_TIME not in self._device.properties
            or Operation.SET_DEVICE_PROP_VALUE not in self._device.operations
        ):
            return False
        began_s = self._clock.monotonic_s()
        try:
            with self._asking("The camera's clock can't be set") as initiator:
                form = self._shown_time(initiator)
                tick = timedelta(milliseconds=100 if form.has_tenths else 1000)
                now = moment + timedelta(seconds=self._clock.monotonic_s() - began_s)
                wait = (tick - (now - EPOCH) % tick) % tick
                self._clock.sleep(wait / timedelta(seconds=1))
                local = (now + wait).astimezone(form.zone).replace(tzinfo=None)
                text = DateTime(local, form.has_tenths, form.zone).encode()
                initiator.order(
                    Operation.SET_DEVICE_PROP_VALUE, Property.DATE_TIME, data=encode_text(text)
                )
        except (CardReadFailedError, OverflowError):
            return False
        return True

    def close(self) -> None:
        """Let go of the camera. A second call does nothing."""
        if self._open:
            self._open = False
            self._session.end_session()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def identified(self, file: CardFile) -> MtpPlace:
        """Where the file stands in this session, once it is proven to be as listed. The session is
        held. CardFileChangedError.
        """
        if not self._knows(file.path):
            self.files(file.path[:-1])
        known = self._files.get(file.path)
        if known is None:
            raise CardFileChangedError(f"{file.shown} is no longer on the card.")
        now, place = known
        with self._session.held() as initiator:
            now = object_now(initiator, self._device, file.path, place)
        if (now.size_bytes, now.modified_ns) != (file.size_bytes, file.modified_ns):
            raise CardFileChangedError(
                f"{file.shown} has changed since it was listed: {file.size_bytes} bytes then, "
                f"{now.size_bytes} now."
            )
        return place

    def handle_of(self, file: CardFile) -> int:
        """The handle of a file that was identified in this session, or is now. The session is held.
        CardFileChangedError.
        """
        known = self._files.get(file.path)
        if known is None or not self._knows(file.path):
            return self.identified(file).handle
        return known[1].handle

    def _knows(self, path: tuple[str, ...]) -> bool:
        """Whether the last listing was of this session, and of where the path lies."""
        return self._epoch == self._session.epoch and path[: len(self._below)] == self._below

    def must_be(self, file: CardFile) -> None:
        """CardFileChangedError unless the file still is as it was listed."""
        with self._asking(f"{file.shown} can't be looked at again"):
            self.identified(file)

    @contextmanager
    def _asking(self, what: str) -> Iterator[Initiator]:
        with self._session.held() as initiator:
            try:
                yield initiator
            except RequestRefusedError as refused:
                if refused.code == Response.INVALID_OBJECT_HANDLE:
                    raise CardFileChangedError(f"{what}: it is no longer on the card.") from refused
                raise CardReadFailedError(f"{what}: {refused}.") from refused
            except (TransactionBrokenError, MalformedError) as error:
                raise CardReadFailedError(f"{what}: {error}.") from error

    def _ways(self, file: CardFile) -> tuple[Operation, ...]:
        """How the file's bytes can be asked for, the next reading's first way first."""
        has = self._device.operations
        ways = [
            way
            for way in (Operation.GET_PARTIAL_OBJECT_64, Operation.GET_PARTIAL_OBJECT)
            if way in has
            and (way is Operation.GET_PARTIAL_OBJECT_64 or file.size_bytes < WHOLE_LENGTH_UNKNOWN)
        ]
        ways.append(Operation.GET_OBJECT)
        turn = self._session.readings(file.path) % len(ways)
        return (*ways[turn:], *ways[:turn])

    def _shown_time(self, initiator: Initiator) -> DateTime:
        value = initiator.ask(Operation.GET_DEVICE_PROP_VALUE, Property.DATE_TIME)
        return DateTime.decode(decode_text(value, "DateTime"))

    def _offset_at_tick(self, initiator: Initiator) -> int | None:
        """The tick lies between the last answer that showed the old time and the first that shows
        the new.
        """
        until_s = self._clock.monotonic_s() + TICK_LOOK_S
        before: tuple[DateTime, datetime] | None = None
        for _ in range(OFFSET_LOOKS_MAX):
            if self._clock.monotonic_s() > until_s:
                break
            asked = self._clock.now()
            shown_time = self._shown_time(initiator)
            answered = self._clock.now()
            if before is not None and before[0] != shown_time:
                error = (answered - before[1]) / 2
                if error > timedelta(seconds=OFFSET_ERROR_MAX_S):
                    return None
                return round((shown_time.utc() - (before[1] + error)) / timedelta(milliseconds=1))
            before = (shown_time, asked)
        return None
