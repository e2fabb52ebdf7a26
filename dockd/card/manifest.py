"""The recordings of a camera that signs manifests: from the untrusted files of its card to claims
and verdicts.

A manifest is parsed once its signature is verified with the *registered* key, so that only the
camera itself can put bytes before the parser; the one exception is a manifest that an erase has
left alone in its folder, which is never taken in. One folder's verdict says nothing of another's:
what is refused stays on the camera and blocks nothing.
"""

import hashlib
import re
from collections.abc import Sequence

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from dockd.card.contract import (
    Card,
    CardError,
    CardFile,
    CardGoneError,
    CardReading,
    CardRecording,
    CardStuckError,
    CardTrouble,
    RefusedRecording,
    Remnant,
    read_whole,
    shown,
)
from dockd.card.document import (
    RECORDING_MAX_BYTES,
    ManifestRefusedError,
    RecordingDocument,
    recording_document,
)
from dockd.card.left_out import LeftOut
from dockd.card.names import ascii_upper, ascii_upper_path
from vault.recording import Origin, PrerollClaim, RecordingClaim, SegmentClaim

_SIGNATURE_BYTES = 64
FOLDER_NAME = re.compile(r"[A-Z0-9]{3,16}-[0-9]{6}")
_SEGMENT_NAME = re.compile(r"[0-9]{4}\.MP4")
_STRAYS_NAMED = 50
"""How many stray files are named one by one. A hostile card could fill the vault's
log with names.
"""

_KEEP = "It stays on the camera: keep the camera apart and ask its supplier."


def read_recordings(
    card: Card, files: Sequence[CardFile], serial: str, public_key: bytes
) -> CardReading:
    """All recordings of the card, oldest first, each with its verdict. `public_key` is the
    registered one, not the card's.

    `files` is the card's last listing. CardGoneError and CardStuckError pass through; every other trouble is
    the verdict of one recording.
    """
    if len(public_key) != 32:
        raise ManifestRefusedError(
            "manifest.no_key",
            f"Camera {serial} signs manifests and is registered without a key.",
        )
    key = Ed25519PublicKey.from_public_bytes(public_key)
    folders, strays = _folders(files)
    left_out = LeftOut(card.trouble)
    recordings: list[CardRecording] = []
    remnants: list[Remnant] = []
    refused: list[RefusedRecording] = []
    for name in sorted(folders):
        folder = _RecordingFolder(card, left_out, folders[name], serial, key)
        try:
            outcome = folder.read()
        except (CardGoneError, CardStuckError):
            raise
        except (CardError, ManifestRefusedError) as error:
            refused.append(
                RefusedRecording(
                    shown((name,)), error.code, f"{shown((name,))}: {error.sentence} {error.hint}"
                )
            )
            continue
        strays.extend(folder.strays())
        if isinstance(outcome, Remnant):
            remnants.append(outcome)
        else:
            recordings.append(outcome)
    return CardReading(tuple(recordings), tuple(remnants), (*refused, *_stray_verdicts(strays)))


class _RecordingFolder:
    """One folder below RECORDINGS/, on its way to a claim."""

    def __init__(
        self,
        card: Card,
        left_out: LeftOut,
        files: list[CardFile],
        serial: str,
        key: Ed25519PublicKey,
    ) -> None:
        self._card = card
        self._left_out = left_out
        self._name = ascii_upper(files[0].path[-2])
        self._serial = serial
        self._key = key
        self._path = files[0].path[:-1]
        self._files = files
        self._by_name = {ascii_upper(file.path[-1]): file for file in files}
        self._known = {"RECORDING.JSON", "RECORDING.SIG", "JOURNAL.JSONL"}

    def read(self) -> CardRecording | Remnant:
        """The recording, or what an erase has left of it. ManifestRefusedError, and
        the card's errors.
        """
        self._check_folder()
        manifest = self._by_name.get("RECORDING.JSON")
        if manifest is None:
            raise self._unfinished()
        if manifest.size_bytes > RECORDING_MAX_BYTES:
            raise ManifestRefusedError(
                "manifest.too_large", f"recording.json is larger than {RECORDING_MAX_BYTES} bytes."
            )
        raw = read_whole(self._card, manifest)
        signature = self._verified_signature(raw)
        document = recording_document(raw)
        if document.recording != self._name:
            raise ManifestRefusedError(
                "manifest.other_name", f"The manifest in it is that of {document.recording}."
            )
        files = tuple(self._segment(segment.name, segment.bytes) for segment in document.segments)
        recording = CardRecording(
            _claim(document, raw, signature), files, self._trailing(), self._path
        )
        missing = [
            segment.name
            for segment, file in zip(document.segments, files, strict=True)
            if file is None
        ]
        if signature is not None and not missing:
            return recording
        return Remnant(recording, self._incomplete(missing, signature is not None))

    def strays(self) -> list[CardFile]:
        """Files that the manifest does not name. They stay, and so does the folder. Call it after
        `read`.
        """
        return [file for name, file in self._by_name.items() if name not in self._known]

    def _check_folder(self) -> None:
        if not FOLDER_NAME.fullmatch(self._name):
            raise ManifestRefusedError("manifest.foreign_name", "This is no name of a recording.")
        if len(self._by_name) != len(self._files) or any(
            file.path[:-1] != self._path for file in self._files
        ):
            raise ManifestRefusedError("manifest.twins", "Names on the card differ in case only.")
        serial = self._name.rpartition("-")[0]
        if serial != self._serial:
            raise ManifestRefusedError(
                "manifest.other_camera",
                f"It was made by camera {serial}, and camera {self._serial} is docked.",
                hint="It stays on the card. Find out how the card came into this camera.",
            )

    def _unfinished(self) -> ManifestRefusedError | CardError:
        trouble = self._trouble_at("recording.json")
        if trouble is not None:
            return ManifestRefusedError(trouble.code, trouble.sentence, hint=_KEEP)
        return ManifestRefusedError(
            "manifest.unfinished",
            "It has no recording.json: the camera has not closed it yet, or lost power.",
            hint="Switch the camera on outside of the dock, so that it closes the recording, and "
            "dock it again.",
        )

    def _verified_signature(self, raw: bytes) -> bytes | None:
        """The signature, or None where only the manifest is left: after the segments the signature
        is deleted first.
        """
        file = self._by_name.get("RECORDING.SIG")
        if file is None:
            if any(_SEGMENT_NAME.fullmatch(name) for name in self._by_name):
                raise ManifestRefusedError(
                    "manifest.unsigned", "It has no recording.sig: nothing proves its manifest."
                )
            return None
        signature = read_whole(self._card, file) if file.size_bytes == _SIGNATURE_BYTES else b""
        try:
            self._key.verify(signature, raw)
        except InvalidSignature as error:
            raise ManifestRefusedError(
                "manifest.signature_wrong",
                "Its signature is not by the key that this camera is registered with.",
            ) from error
        return signature

    def _segment(self, name: str, size_bytes: int) -> CardFile | None:
        self._known.add(ascii_upper(name))
        file = self._by_name.get(ascii_upper(name))
        if file is None:
            trouble = self._trouble_at(name)
            if trouble is not None:
                raise ManifestRefusedError(trouble.code, trouble.sentence, hint=_KEEP)
        elif file.size_bytes != size_bytes:
            raise ManifestRefusedError(
                "manifest.size_differs",
                f"{name} has {file.size_bytes} bytes on the card and {size_bytes} in the "
                f"signed manifest.",
                hint="The recording on the camera is damaged. " + _KEEP,
            )
        return file

    def _trouble_at(self, name: str) -> CardTrouble | None:
        """What the listing left out at this file or above it. Such a file is unknown, which is not
        the same as gone.
        """
        return self._left_out.at(ascii_upper_path((*self._path, name)))

    def _trailing(self) -> tuple[CardFile, ...]:
        in_order = ("JOURNAL.JSONL", "RECORDING.SIG", "RECORDING.JSON")
        return tuple(self._by_name[name] for name in in_order if name in self._by_name)

    def _incomplete(self, missing: list[str], signed: bool) -> RefusedRecording:
        lack = f"segments {_listed(missing)} are not on the card" if missing else ""
        if not signed:
            lack += (" and " if lack else "") + "recording.sig is not on the card"
        sentence = f"{self._name}: {lack}, and the vault does not hold this recording. {_KEEP}"
        return RefusedRecording(
            self._name, "manifest.segments_missing" if missing else "manifest.unsigned", sentence
        )


def _folders(files: Sequence[CardFile]) -> tuple[dict[str, list[CardFile]], list[CardFile]]:
    """The files of each folder below RECORDINGS/, and the files that belong to none. `.tmp` means
    nothing anywhere.
    """
    folders: dict[str, list[CardFile]] = {}
    strays: list[CardFile] = []
    for file in files:
        path = ascii_upper_path(file.path)
        if path[0] != "RECORDINGS" or path[-1].endswith(".TMP"):
            continue
        if len(path) == 3:
            folders.setdefault(path[1], []).append(file)
        else:
            strays.append(file)
    return folders, strays


def _stray_verdicts(strays: list[CardFile]) -> list[RefusedRecording]:
    named = [
        RefusedRecording(
            file.shown,
            "manifest.stray_file",
            f"{file.shown} belongs to no recording. It stays on the camera: look at it.",
        )
        for file in strays[:_STRAYS_NAMED]
    ]
    if len(strays) > _STRAYS_NAMED:
        rest = len(strays) - _STRAYS_NAMED
        sentence = (
            f"{rest} more files on the card belong to no recording. They stay on the camera: look "
            f"at them."
        )
        named.append(RefusedRecording("RECORDINGS", "manifest.stray_file", sentence))
    return named


def _claim(document: RecordingDocument, raw: bytes, signature: bytes | None) -> RecordingClaim:
    return RecordingClaim(
        origin=Origin.MANIFEST,
        camera_serial=document.camera.serial,
        name=document.recording,
        identity=hashlib.sha256(raw).hexdigest(),
        segments=tuple(
            SegmentClaim(
                entry.name,
                entry.bytes,
                entry.sha256,
                entry.start_ms,
                entry.duration_ms,
                entry.preroll,
            )
            for entry in document.segments
        ),
        counter=document.counter,
        previous_sha256=document.previous_sha256,
        model=document.camera.model,
        firmware=document.camera.firmware,
        officer=document.officer,
        started_utc=document.started_utc,
        triggered_utc=document.triggered_utc,
        stopped_utc=document.stopped_utc,
        started_mono_ms=document.started_mono_ms,
        triggered_mono_ms=document.triggered_mono_ms,
        stopped_mono_ms=document.stopped_mono_ms,
        stop_reason=document.stop_reason,
        preroll=PrerollClaim(
            document.preroll.requested_ms,
            document.preroll.delivered_ms,
            document.preroll.short_because,
            document.preroll.audio,
        ),
        overlaps=document.overlaps,
        manifest=raw,
        signature=signature,
    )


def _listed(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
