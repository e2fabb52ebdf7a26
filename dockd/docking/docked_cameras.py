"""Which camera stands in which bay, and what bays must know of one another."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from dockd.card.timeline import SegmentFacts
from vault.errors import Failure, Reaction
from vault.recording import RecordingClaim


class InHandError(Failure):
    """Another bay takes in this very recording at this moment: a second camera with the same
    serial.
    """

    code = "dock.in_hand"
    reaction = Reaction.TRY_AGAIN
    hint = (
        "It is looked at again by itself. Two cameras with one serial are not erased: keep them "
        "apart."
    )


class DockedCameras:
    """Shared by all bays; any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._serials: dict[str, str] = {}
        self._doubled: set[str] = set()
        self._in_hand: set[tuple[str, str, str]] = set()
        self._facts: dict[str, dict[int, SegmentFacts]] = {}
        self._clocks: dict[str, datetime] = {}

    def add(self, bay: str, serial: str) -> bool:
        """This camera stands in this bay. False if another bay has one that says the same of itself
        (fault A11).

        Neither is erased then, for as long as it stays: one of them lies, and nobody knows which.
        """
        with self._lock:
            self._serials[bay] = serial
            twins = [
                other for other, its in self._serials.items() if its == serial and other != bay
            ]
            if twins:
                self._doubled.update([bay, *twins])
            return not twins

    def remove(self, bay: str) -> None:
        with self._lock:
            self._serials.pop(bay, None)
            self._doubled.discard(bay)

    def doubled(self, bay: str) -> bool:
        """Whether a camera of the same serial stood elsewhere at any moment since this one came."""
        with self._lock:
            return bay in self._doubled

    def clock_is_new(self, serial: str, clock_utc: datetime) -> bool:
        """Whether a registered camera shows another time than at its last docking.

        The same time again was not read from its clock again: a card that was mounted anew without
        the camera's knowledge.
        """
        with self._lock:
            before = self._clocks.get(serial)
            self._clocks[serial] = clock_utc
            return before != clock_utc

    @contextmanager
    def in_hand(self, claim: RecordingClaim) -> Iterator[None]:
        """Within it nobody else takes in this recording. Raises InHandError.

        The vault gives everybody who asks the attempt that was left open; it belongs to one bay at
        a time.
        """
        key = (claim.camera_serial, claim.name, claim.identity)
        with self._lock:
            if key in self._in_hand:
                raise InHandError(
                    f"{claim.camera_serial}: the same recording is being taken in from another bay."
                )
            self._in_hand.add(key)
        try:
            yield
        finally:
            with self._lock:
                self._in_hand.discard(key)

    def facts_of(self, recording_id: str) -> dict[int, SegmentFacts]:
        """What the timeline showed of the segments that this attempt has taken, by index.

        They outlive the docking, as the attempt does: a camera that was taken out half-way is not
        read a second time for them.
        """
        with self._lock:
            return self._facts.setdefault(recording_id, {})

    def forget_facts(self, recording_id: str) -> None:
        """The attempt is committed or thrown away."""
        with self._lock:
            self._facts.pop(recording_id, None)
