"""One walk over a camera's storages, within the bounds that every camera keeps; and an object as the
camera shows it now.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from dockd.card.contract import (
    CardFile,
    CardFileChangedError,
    CardLimits,
    CardRefusedError,
    CardTrouble,
    shown,
)
from dockd.usb.initiator import Initiator, RequestRefusedError, TransactionBrokenError
from dockd.usb.ptp import (
    ALL_FORMATS,
    FOLDER,
    ROOT,
    WHOLE_LENGTH_UNKNOWN,
    DateTime,
    DeviceInfo,
    MalformedError,
    ObjectInfo,
    Operation,
    Property,
    StorageInfo,
    decode_handles,
    decode_u64,
)
from vault.clock import Clock

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class MtpPlace:
    """Where an object stood in the last listing."""

    storage: int
    parent: int
    handle: int


class MtpListing:
    """One walk over a camera's storages, and the bounds that it keeps."""

    def __init__(
        self, initiator: Initiator, clock: Clock, limits: CardLimits, where: str, device: DeviceInfo
    ) -> None:
        self.files: dict[tuple[str, ...], tuple[CardFile, MtpPlace]] = {}
        self.folders: dict[tuple[str, ...], MtpPlace] = {}
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
        """List all that lies below a folder. Raises CardRefusedError, and what the initiator raises."""
        capacity_bytes = 0
        for storage in decode_handles(self._initiator.ask(Operation.GET_STORAGE_IDS), "StorageIDs"):
            self._count()
            capacity_bytes += self._capacity(storage)
            folders = self._descended(storage, below)
            while folders:
                folders.extend(self._add_folder(storage, *folders.pop()))
        total_bytes = sum(file.size_bytes for file, _ in self.files.values())
        if total_bytes > capacity_bytes > 0:
            raise CardRefusedError(
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
        except RequestRefusedError:
            return 0

    def _add_folder(
        self, storage: int, path: tuple[str, ...], folder: int
    ) -> list[tuple[tuple[str, ...], int]]:
        inner: list[tuple[tuple[str, ...], int]] = []
        try:
            handles = self._children(storage, folder)
        except (RequestRefusedError, TransactionBrokenError, MalformedError) as error:
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
                place = MtpPlace(storage, info.parent, handle)
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
            except (RequestRefusedError, TransactionBrokenError, MalformedError) as error:
                self._leave_out(
                    path,
                    "card.read_failed",
                    f"An object of /{shown(path)} can't be looked at: {error}.",
                )
        return inner

    def _children(self, storage: int, folder: int) -> tuple[int, ...]:
        content = self._initiator.ask(Operation.GET_OBJECT_HANDLES, storage, ALL_FORMATS, folder)
        return decode_handles(content, "ObjectHandles")

    def _add_file(self, path: tuple[str, ...], place: MtpPlace, info: ObjectInfo) -> None:
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
            raise CardRefusedError(
                f"The camera at {self._where} holds more than {self._limits.objects} files "
                f"and folders."
            )
        if self._clock.monotonic_s() > self._until_s:
            raise CardRefusedError(
                f"Listing the camera at {self._where} took longer than "
                f"{self._limits.listing_s:g} seconds."
            )


def object_now(
    initiator: Initiator, device: DeviceInfo, path: tuple[str, ...], place: MtpPlace
) -> CardFile:
    """The object behind a handle, as it is shown now. CardFileChangedError where name, folder or kind
    are others.
    """
    info = ObjectInfo.decode(initiator.ask(Operation.GET_OBJECT_INFO, place.handle))
    size_bytes = _size(initiator, device, place.handle, info)
    if (
        info.format == FOLDER
        or (info.name, info.parent) != (path[-1], place.parent)
        or size_bytes is None
    ):
        raise CardFileChangedError(
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
    except RequestRefusedError:
        return None


def _modified_ns(text: str) -> int:
    """The object's time as a number that changes when it changes; 0 where the camera tells none.
    Never an identity.
    """
    try:
        shown_time = DateTime.decode(text)
    except MalformedError:
        return 0
    return (shown_time.moment.replace(tzinfo=UTC) - EPOCH) // timedelta(microseconds=1) * 1000
