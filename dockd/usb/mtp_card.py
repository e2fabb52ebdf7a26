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
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Self

from dockd.card.contract import (
    DEFAULT_LIMITS,
    CardDeleteFailed,
    CardFile,
    CardFileChanged,
    CardLimits,
    CardReadFailed,
    CardReadOnly,
    CardRefused,
    CardStuck,
    CardTrouble,
    shown,
)
from dockd.usb.initiator import CHUNK_BYTES, Broken, Initiator, ObjectStream, Refused
from dockd.usb.ptp import (
    ALL_FORMATS,
    FOLDER,
    ROOT,
    WHOLE_LENGTH_UNKNOWN,
    DateTime,
    DeviceInfo,
    Malformed,
    ObjectInfo,
    Operation,
    Property,
    Response,
    StorageInfo,
    decode_handles,
    decode_text,
    decode_u64,
    encode_text,
)
from dockd.usb.session import NEVER, Session
from vault.clock import Clock

TICK_LOOK_S = 1.25
"""How long the camera's clock is watched for its next tick: a little longer than a clock without
tenths takes.
"""
OFFSET_ERROR_MAX_S = 0.05
"""An offset that is not sure to this is not stated."""

OFFSET_LOOKS_MAX = 5000
LISTINGS_MAX = 3
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_READ_ONLY = frozenset(
    {Response.OBJECT_WRITE_PROTECTED, Response.STORE_READ_ONLY, Response.ACCESS_DENIED}
)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an object stood in the last listing."""

    storage: int
    parent: int
    handle: int


class MtpCard:
    """A `Card` on a docked USB camera. Any thread; the session takes them one by one."""

    def __init__(self, session: Session, clock: Clock, limits: CardLimits = DEFAULT_LIMITS) -> None:
        """Opens a session. Raises CardGone, CardStuck, CardBusy, CardForbidden, DeviceRefused."""
        self._session = session
        self._clock = clock
        self._limits = limits
        self._device = session.enter()
        self._open = True
        self._epoch = NEVER
        self._below: tuple[str, ...] = ()
        self._files: dict[tuple[str, ...], tuple[CardFile, _Place]] = {}
        self._folders: dict[tuple[str, ...], _Place] = {}
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
        """Every object that is a file, sorted by path. CardRefused beyond the limits. Fault A13."""
        with self._asking("The card can't be listed") as initiator:
            for _ in range(LISTINGS_MAX):
                epoch = self._session.epoch
                listing = _Listing(initiator, self._clock, self._limits, self.where, self._device)
                listing.walk(below)
                if self._session.epoch == epoch:
                    break
            else:
                # A session that broke in the middle: half of the handles are good for nothing.
                raise CardStuck(f"The camera at {self.where} can't be listed in one session.")
            self._epoch, self._below = epoch, below
            self._files, self._folders, self._trouble = (
                listing.files,
                listing.folders,
                tuple(listing.trouble),
            )
        return tuple(sorted((file for file, _ in self._files.values()), key=lambda file: file.path))

    def open(self, file: CardFile, offset: int = 0) -> "MtpReader":
        """A reader from `offset` on. CardFileChanged, CardReadFailed, CardGone, CardStuck."""
        with self._asking(f"{file.shown} can't be opened"):
            self.identified(file)
        return MtpReader(self, self._session, file, offset, self._ways(file))

    def delete(self, file: CardFile) -> None:
        """Identify by name, folder, size and time again, and delete.

        The answer OK is the camera's word, not more: the listing of a new session decides (fault
        A7).
        """
        with self._asking(f"{file.shown} can't be erased") as initiator:
            place = self.identified(file)
            try:
                initiator.order(Operation.DELETE_OBJECT, place.handle, ALL_FORMATS)
            except Refused as refused:
                if refused.code in _READ_ONLY:
                    raise CardReadOnly(
                        f"{file.shown} can't be erased: the camera at {self.where} protects it."
                    ) from refused
                raise CardDeleteFailed(
                    f"{file.shown} was not erased: the camera answered {refused.code:#06x}."
                ) from refused
            except Broken as broken:
                raise CardDeleteFailed(
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
                raise CardFileChanged(f"{shown(path)} is no longer the folder that was listed.")
            try:
                initiator.order(Operation.DELETE_OBJECT, place.handle, ALL_FORMATS)
            except (Refused, Broken) as error:
                raise CardDeleteFailed(
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
        except CardReadFailed:
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
        except (CardReadFailed, OverflowError):
            return False
        return True

    def close(self) -> None:
        """Let go of the camera. A second call does nothing."""
        if self._open:
            self._open = False
            self._session.leave()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def identified(self, file: CardFile) -> _Place:
        """Where the file stands in this session, once it is proven to be as listed. The session is
        held. CardFileChanged.
        """
        if not self._knows(file.path):
            self.files(file.path[:-1])
        known = self._files.get(file.path)
        if known is None:
            raise CardFileChanged(f"{file.shown} is no longer on the card.")
        now, place = known
        with self._session.held() as initiator:
            now = _file_now(initiator, self._device, file.path, place)
        if (now.size_bytes, now.modified_ns) != (file.size_bytes, file.modified_ns):
            raise CardFileChanged(
                f"{file.shown} has changed since it was listed: {file.size_bytes} bytes then, "
                f"{now.size_bytes} now."
            )
        return place

    def handle_of(self, file: CardFile) -> int:
        """The handle of a file that was identified in this session, or is now. The session is held.
        CardFileChanged.
        """
        known = self._files.get(file.path)
        if known is None or not self._knows(file.path):
            return self.identified(file).handle
        return known[1].handle

    def _knows(self, path: tuple[str, ...]) -> bool:
        """Whether the last listing was of this session, and of where the path lies."""
        return self._epoch == self._session.epoch and path[: len(self._below)] == self._below

    def must_be(self, file: CardFile) -> None:
        """CardFileChanged unless the file still is as it was listed."""
        with self._asking(f"{file.shown} can't be looked at again"):
            self.identified(file)

    @contextmanager
    def _asking(self, what: str) -> Iterator[Initiator]:
        with self._session.held() as initiator:
            try:
                yield initiator
            except Refused as refused:
                if refused.code == Response.INVALID_OBJECT_HANDLE:
                    raise CardFileChanged(f"{what}: it is no longer on the card.") from refused
                raise CardReadFailed(f"{what}: {refused}.") from refused
            except (Broken, Malformed) as error:
                raise CardReadFailed(f"{what}: {error}.") from error

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


class MtpReader:
    """A `FileReader` over PTP. One thread; between two blocks other readers of the same camera have
    their turn.
    """

    def __init__(
        self,
        card: MtpCard,
        session: Session,
        file: CardFile,
        offset: int,
        ways: tuple[Operation, ...],
    ) -> None:
        self._card = card
        self._session = session
        self._file = file
        self._position = offset
        self._ways = list(ways)
        self._counts = offset == 0
        self._stream: ObjectStream | None = None

    def readinto(self, buffer: memoryview) -> int:
        """The next bytes; 0 at the listed size, once the camera still shows the object as it was
        listed.
        """
        left = self._file.size_bytes - self._position
        if left == 0:
            self._end()
            return 0
        wanted = buffer[: min(len(buffer), CHUNK_BYTES, left)]
        failure: Exception | None = None
        while self._ways:
            try:
                count = self._read(self._ways[0], wanted)
                if count:
                    self._position += count
                    return count
                failure = Malformed(f"the camera ends {left} bytes too early")
            except (Refused, Broken, Malformed) as error:
                failure = error
            if self._stream is not None:
                # What this stream brought before was never confirmed: it can't be gone on from.
                break
            self._ways.pop(0)
        self._leave_stream()
        self._note()
        raise self._failed(failure)

    def close(self) -> None:
        """Let go of the object. A second call does nothing."""
        self._leave_stream()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _read(self, way: Operation, buffer: memoryview) -> int:
        if way is Operation.GET_OBJECT:
            return self._read_stream(buffer)
        with self._session.held() as initiator:
            handle = self._card.handle_of(self._file)
            low, high = self._position & 0xFFFFFFFF, self._position >> 32
            offset = (low, high) if way is Operation.GET_PARTIAL_OBJECT_64 else (low,)
            return initiator.fill(buffer, way, handle, *offset, len(buffer))

    def _read_stream(self, buffer: memoryview) -> int:
        if self._stream is None:
            self._open_stream()
        assert self._stream is not None
        return self._stream.readinto(buffer)

    def _open_stream(self) -> None:
        """The camera is held until the stream is left; what lies before the position is read and
        thrown away.
        """
        initiator = self._session.hold()
        try:
            stream = initiator.stream(
                self._file.size_bytes, Operation.GET_OBJECT, self._card.handle_of(self._file)
            )
        except BaseException:
            self._session.release()
            raise
        self._stream = stream
        skipped = memoryview(bytearray(min(CHUNK_BYTES, self._position)))
        left = self._position
        while left:
            left -= stream.readinto(skipped[: min(left, len(skipped))])

    def _leave_stream(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            try:
                stream.close()
            finally:
                self._session.release()

    def _end(self) -> None:
        """A stream's last word, and that the camera still shows what it showed before."""
        try:
            if self._stream is not None:
                self._stream.readinto(memoryview(bytearray(1)))
        except (Refused, Broken) as error:
            self._note()
            raise self._failed(error) from error
        finally:
            self._leave_stream()
        self._note()
        self._card.must_be(self._file)

    def _failed(self, failure: Exception | None) -> CardReadFailed:
        return CardReadFailed(
            f"{self._file.shown} can't be read at byte {self._position}: {failure}."
        )

    def _note(self) -> None:
        if self._counts:
            self._counts = False
            self._session.note_reading(self._file.path)


class _Listing:
    """One walk over a camera's storages, and the bounds that it keeps."""

    def __init__(
        self, initiator: Initiator, clock: Clock, limits: CardLimits, where: str, device: DeviceInfo
    ) -> None:
        self.files: dict[tuple[str, ...], tuple[CardFile, _Place]] = {}
        self.folders: dict[tuple[str, ...], _Place] = {}
        self.trouble: list[CardTrouble] = []
        self._initiator = initiator
        self._clock = clock
        self._limits = limits
        self._where = where
        self._device = device
        self._until_s = clock.monotonic_s() + limits.listing_s
        self._objects = 0
        self._seen: set[int] = set()
        self._twins: set[tuple[str, ...]] = set()

    def walk(self, below: tuple[str, ...]) -> None:
        """List all that lies below a folder. Raises CardRefused, and what the initiator raises."""
        capacity_bytes = 0
        for storage in decode_handles(self._initiator.ask(Operation.GET_STORAGE_IDS), "StorageIDs"):
            self._count()
            capacity_bytes += self._capacity(storage)
            folders = self._descended(storage, below)
            while folders:
                folders.extend(self._add_folder(storage, *folders.pop()))
        total_bytes = sum(file.size_bytes for file, _ in self.files.values())
        if total_bytes > capacity_bytes > 0:
            raise CardRefused(
                f"The camera at {self._where} lists {total_bytes} bytes and has room for "
                f"{capacity_bytes}."
            )

    def _descended(self, storage: int, below: tuple[str, ...]) -> list[tuple[tuple[str, ...], int]]:
        """The folder to begin with, by looking at one level after the other; none where there is no
        such folder.
        """
        here: tuple[str, ...] = ()
        folder = ROOT
        for name in below:
            found = [
                inner
                for inner in self._add_folder(storage, here, folder)
                if inner[0] == (*here, name)
            ]
            if not found:
                return []
            here, folder = found[0]
        # What was seen on the way lies beside it.
        self.files.clear()
        self._seen.clear()
        return [(here, folder)]

    def _capacity(self, storage: int) -> int:
        try:
            return StorageInfo.decode(
                self._initiator.ask(Operation.GET_STORAGE_INFO, storage)
            ).capacity_bytes
        except Refused:
            return 0

    def _add_folder(
        self, storage: int, path: tuple[str, ...], folder: int
    ) -> list[tuple[tuple[str, ...], int]]:
        inner: list[tuple[tuple[str, ...], int]] = []
        try:
            handles = self._children(storage, folder)
        except (Refused, Broken, Malformed) as error:
            self._leave_out(
                path, "card.read_failed", f"The folder /{shown(path)} can't be listed: {error}."
            )
            return []
        for handle in handles:
            self._count()
            if handle in self._seen:
                self._leave_out(
                    path, "card.ring", f"An object of /{shown(path)} was listed before: a ring."
                )
                continue
            self._seen.add(handle)
            try:
                info = ObjectInfo.decode(self._initiator.ask(Operation.GET_OBJECT_INFO, handle))
                here = (*path, info.name)
                place = _Place(storage, info.parent, handle)
                if info.format == FOLDER:
                    if len(here) > self._limits.depth:
                        self._leave_out(
                            here,
                            "card.too_deep",
                            f"/{shown(here)} lies deeper than {self._limits.depth} folders.",
                        )
                    elif self._is_new(here):
                        self.folders[here] = place
                        inner.append((here, handle))
                elif self._is_new(here):
                    self._add_file(here, place, info)
            except (Refused, Broken, Malformed) as error:
                self._leave_out(
                    path,
                    "card.read_failed",
                    f"An object of /{shown(path)} can't be looked at: {error}.",
                )
        return inner

    def _children(self, storage: int, folder: int) -> tuple[int, ...]:
        content = self._initiator.ask(Operation.GET_OBJECT_HANDLES, storage, ALL_FORMATS, folder)
        return decode_handles(content, "ObjectHandles")

    def _add_file(self, path: tuple[str, ...], place: _Place, info: ObjectInfo) -> None:
        size_bytes = _size(self._initiator, self._device, place.handle, info)
        if size_bytes is None:
            self._leave_out(
                path,
                "card.unknown_size",
                f"{shown(path)} has 4 GiB or more, and the camera can't say how much.",
            )
        else:
            self.files[path] = (CardFile(path, size_bytes, _modified_ns(info.modified)), place)

    def _is_new(self, path: tuple[str, ...]) -> bool:
        """Two objects of one name in one folder, which MTP allows, can't be told apart: neither is
        touched.
        """
        if path in self._twins:
            return False
        if path not in self.files and path not in self.folders:
            return True
        self._twins.add(path)
        self.files.pop(path, None)
        self.folders.pop(path, None)
        self._leave_out(
            path,
            "card.twin",
            f"There are several objects named /{shown(path)}: none of them is touched.",
        )
        return False

    def _leave_out(self, path: tuple[str, ...], code: str, sentence: str) -> None:
        self.trouble.append(CardTrouble(path, code, sentence))

    def _count(self) -> None:
        self._objects += 1
        if self._objects > self._limits.objects:
            raise CardRefused(
                f"The camera at {self._where} holds more than {self._limits.objects} files "
                f"and folders."
            )
        if self._clock.monotonic_s() > self._until_s:
            raise CardRefused(
                f"Listing the camera at {self._where} took longer than "
                f"{self._limits.listing_s:g} seconds."
            )


def _file_now(
    initiator: Initiator, device: DeviceInfo, path: tuple[str, ...], place: _Place
) -> CardFile:
    """The object behind a handle, as it is shown now. CardFileChanged where name, folder or kind
    are others.
    """
    info = ObjectInfo.decode(initiator.ask(Operation.GET_OBJECT_INFO, place.handle))
    size_bytes = _size(initiator, device, place.handle, info)
    if (
        info.format == FOLDER
        or (info.name, info.parent) != (path[-1], place.parent)
        or size_bytes is None
    ):
        raise CardFileChanged(
            f"{shown(path)} is no longer what was listed: the camera shows another object in "
            f"its place."
        )
    return CardFile(path, size_bytes, _modified_ns(info.modified))


def _size(initiator: Initiator, device: DeviceInfo, handle: int, info: ObjectInfo) -> int | None:
    """The object's size; from 4 GiB on by the property ObjectSize, None where the camera lacks it
    (fault A5).
    """
    if info.compressed_size != WHOLE_LENGTH_UNKNOWN:
        return info.compressed_size
    if Operation.GET_OBJECT_PROP_VALUE not in device.operations:
        return None
    try:
        return decode_u64(
            initiator.ask(Operation.GET_OBJECT_PROP_VALUE, handle, Property.OBJECT_SIZE),
            "ObjectSize",
        )
    except Refused:
        return None


def _modified_ns(text: str) -> int:
    """The object's time as a number that changes when it changes; 0 where the camera tells none.
    Never an identity.
    """
    try:
        shown_time = DateTime.decode(text)
    except Malformed:
        return 0
    return (shown_time.moment.replace(tzinfo=UTC) - EPOCH) // timedelta(microseconds=1) * 1000
