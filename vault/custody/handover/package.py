"""The hand-over package: a BagIt bag (RFC 8493) in a ZIP, encrypted with age to its receiver, in
one stream.

Nothing but ciphertext touches the disk, and no more than a block stands in memory, however large
the recordings. The manifests come last in the ZIP, as the digests are made while the payload
passes; each payload file is held against the digest it was announced with, and a difference ends
it. Pure of the vault: everything comes as arguments.
"""

import hashlib
import io
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyrage

from vault.errors import Reaction, StorageFailed, VaultError, VaultFull
from vault.storage.durable import flush_file, publish, remove_file, storage_errors

Blocks = Callable[[], Iterable[bytes | memoryview]]
Progress = Callable[[int], None]
"""Is told how many more bytes of payload were packed."""

_ZIP64_FROM_BYTES = 1 << 31
_BLOCK_BYTES = 1 << 20


class BadRecipient(VaultError):
    """The receiver's key is none that a package can be encrypted to."""

    code = "package.bad_recipient"
    reaction = Reaction.REFUSE
    hint = (
        "Ask the receiver for their age public key: it begins with age1 and is made by "
        "`age-keygen`."
    )


class PackageFailed(VaultError):
    """A package could not be made whole; nothing of it is left."""

    code = "package.failed"
    reaction = Reaction.ALARM
    hint = "Run `vault verify`, then make the package again."


@dataclass(frozen=True, slots=True)
class PackageFile:
    """One file of the payload, below `data/`. `sha256` None: not announced, taken as it comes."""

    path: str
    size_bytes: int
    sha256: str | None
    blocks: Blocks


@dataclass(frozen=True, slots=True)
class Bag:
    """A bag: its folder's name, its payload in order, and what bag-info.txt says."""

    name: str
    files: Sequence[PackageFile]
    info: Mapping[str, str]
    made: datetime


@dataclass(frozen=True, slots=True)
class Packed:
    """A package that stands: its size and SHA-256, as the letter that goes with it states them."""

    size_bytes: int
    sha256: str
    payload_bytes: int


def recipient_of(text: str) -> pyrage.x25519.Recipient:
    """The receiver's age key. Raises BadRecipient."""
    try:
        return pyrage.x25519.Recipient.from_str(text.strip())
    except pyrage.RecipientError as error:
        raise BadRecipient(f"{text.strip()[:20]!r} is no age public key.") from error


def write_package(
    target: Path, recipient: str, bag: Bag, progress: Progress = lambda _: None
) -> Packed:
    """Write the package to `target`, which gets its name only once it stands whole and flushed.

    Raises BadRecipient, PackageFailed, StorageFailed, and what the blocks raise.
    """
    key = recipient_of(recipient)
    part = target.with_name(f".{target.name}.part")
    remove_file(part)
    bagging = _Bagging(bag, progress)
    source = _Reader(bagging.stream())
    try:
        with part.open("xb") as file:
            sink = _Writer(file)
            try:
                pyrage.encrypt_io(source, sink, [key])
            except pyrage.EncryptError as error:
                raise (
                    source.failure
                    or sink.failure
                    or PackageFailed(f"It could not be encrypted: {error}.")
                ) from error
        flush_file(part)
        publish(part, target)
    finally:
        remove_file(part)
    return Packed(sink.size_bytes, sink.digest.hexdigest(), bagging.payload_bytes)


class _Reader:
    """Blocks as a file that is read; a failure of theirs is kept, as what reads swallows it."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._left = b""
        self.failure: BaseException | None = None

    def read(self, size: int = -1) -> bytes:
        try:
            while not self._left:
                self._left = next(self._blocks)
        except StopIteration:
            return b""
        except BaseException as error:
            self.failure = error
            raise
        wanted = len(self._left) if size < 0 else size
        block, self._left = self._left[:wanted], self._left[wanted:]
        return block


class _Writer:
    """A file that is written, with its size and digest."""

    def __init__(self, file: io.BufferedWriter) -> None:
        self._file = file
        self.size_bytes = 0
        self.digest = hashlib.sha256()
        self.failure: VaultError | None = None

    def write(self, block: bytes) -> int:
        try:
            with storage_errors("writing the package"):
                self._file.write(block)
        except (StorageFailed, VaultFull) as error:
            self.failure = error
            raise
        self.digest.update(block)
        self.size_bytes += len(block)
        return len(block)

    def flush(self) -> None:
        self._file.flush()


class _Drain(io.RawIOBase):
    """What the ZIP writes, until it is taken."""

    def __init__(self) -> None:
        super().__init__()
        self._held = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, block: object) -> int:
        view = memoryview(block)  # type: ignore[arg-type]
        self._held += view
        return len(view)

    def take(self) -> bytes:
        taken, self._held = bytes(self._held), bytearray()
        return taken


class _Bagging:
    """A bag on its way into a ZIP."""

    def __init__(self, bag: Bag, progress: Progress) -> None:
        self._bag = bag
        self._progress = progress
        self._digests: dict[str, tuple[str, str]] = {}
        self.payload_bytes = 0

    def stream(self) -> Iterator[bytes]:
        """The ZIP's bytes."""
        drain = _Drain()
        with zipfile.ZipFile(drain, "w", zipfile.ZIP_STORED) as archive:
            for file in self._bag.files:
                yield from self._payload(archive, drain, file)
            for name, content in self._tags():
                archive.writestr(self._entry(name), content)
                yield drain.take()
        yield drain.take()

    def _payload(
        self, archive: zipfile.ZipFile, drain: _Drain, file: PackageFile
    ) -> Iterator[bytes]:
        path = f"data/{file.path}"
        sha256, sha512, size = hashlib.sha256(), hashlib.sha512(), 0
        with archive.open(
            self._entry(path), "w", force_zip64=file.size_bytes >= _ZIP64_FROM_BYTES
        ) as sink:
            for block in file.blocks():
                for at in range(0, len(block), _BLOCK_BYTES):
                    piece = block[at : at + _BLOCK_BYTES]
                    sink.write(piece)
                    sha256.update(piece)
                    sha512.update(piece)
                    size += len(piece)
                    yield drain.take()
        if size != file.size_bytes or file.sha256 not in (None, sha256.hexdigest()):
            raise PackageFailed(f"{file.path} is not what was announced: the package was given up.")
        self._digests[path] = (sha256.hexdigest(), sha512.hexdigest())
        self.payload_bytes += size
        self._progress(size)
        yield drain.take()

    def _entry(self, path: str) -> zipfile.ZipInfo:
        made = self._bag.made
        entry = zipfile.ZipInfo(
            f"{self._bag.name}/{path}",
            (made.year, made.month, made.day, made.hour, made.minute, made.second),
        )
        entry.external_attr = 0o600 << 16
        return entry

    def _tags(self) -> list[tuple[str, bytes]]:
        oxum = {
            "Payload-Oxum": f"{self.payload_bytes}.{len(self._digests)}",
            "Bagging-Date": f"{self._bag.made:%Y-%m-%d}",
        }
        info = "".join(f"{name}: {value}\n" for name, value in {**self._bag.info, **oxum}.items())
        tags = {
            "bagit.txt": b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n",
            "bag-info.txt": info.encode(),
            "manifest-sha256.txt": _manifest(
                {path: digests[0] for path, digests in self._digests.items()}
            ),
            "manifest-sha512.txt": _manifest(
                {path: digests[1] for path, digests in self._digests.items()}
            ),
        }
        listed = _manifest(
            {name: hashlib.sha256(content).hexdigest() for name, content in tags.items()}
        )
        return [*tags.items(), ("tagmanifest-sha256.txt", listed)]


def _manifest(digests: Mapping[str, str]) -> bytes:
    return "".join(f"{digest}  {path}\n" for path, digest in sorted(digests.items())).encode()


def of_bytes(path: str, content: bytes) -> PackageFile:
    """Bytes in memory as a payload file."""
    return PackageFile(path, len(content), hashlib.sha256(content).hexdigest(), lambda: [content])


def joined(path: str, files: Sequence[PackageFile]) -> PackageFile:
    """Payload files one after the other as one: the concatenation of a recording's segments plays
    anywhere.
    """

    def blocks() -> Iterator[bytes | memoryview]:
        for file in files:
            yield from file.blocks()

    return PackageFile(path, sum(file.size_bytes for file in files), None, blocks)


def written_bytes(folder: Path) -> int:
    """How much of the package in this folder is written so far."""
    return max((path.stat().st_size for path in folder.glob("*") if path.is_file()), default=0)


def read_package(path: Path) -> Iterator[bytes]:
    """A package, block by block: it is encrypted to its receiver. Raises StorageFailed."""
    with storage_errors(f"reading {path.name}"), path.open("rb") as file:
        while block := file.read(1 << 20):
            yield block


def discard_packages(folder: Path) -> None:
    """Remove what waited in this folder to be fetched."""
    for path in folder.glob("overdracht-*"):
        remove_file(path)


def check_text(bag_name: str, package_name: str, signed: Mapping[str, bool]) -> str:
    """CONTROLE.txt: how the receiver checks all of it with public tools, in Dutch.

    `signed`: the folder of each recording, and whether its camera's signature holds.
    """
    return "\n".join(
        [
            *_check_package(bag_name, package_name),
            *(line for name in signed for line in _check_recording(bag_name, name, signed[name])),
            *_check_playback(bag_name, list(signed)),
        ]
    )


def _check_package(bag_name: str, package_name: str) -> list[str]:
    return [
        "CONTROLE",
        "",
        "Zo controleert u met openbare programma's dat dit pakket heel is en dat de beelden "
        "die van de camera zijn.",
        "Nodig: age, unzip, sha256sum, openssl (3.0 of later) en Python 3 met het pakket bagit.",
        "Elke regel met een $ is een opdracht.",
        "",
        "1. Het bestand dat u ontving. Vergelijk de uitkomst met de begeleidende brief.",
        "",
        f"   $ sha256sum {package_name}",
        "",
        "2. Openen met uw eigen sleutel, en uitpakken.",
        "",
        f"   $ age -d -i sleutel.txt -o pakket.zip {package_name}",
        "   $ unzip -q pakket.zip",
        "",
        "3. Is alles er, en onveranderd? Beide opdrachten zeggen hetzelfde; een van de twee "
        "volstaat.",
        "",
        f"   $ bagit.py --validate {bag_name}",
        f"   $ (cd {bag_name} && sha256sum --quiet -c manifest-sha256.txt)",
        "",
        "4. De handtekening van de camera onder haar eigen verklaring, en de beelden tegen "
        "die verklaring. De openbare sleutel",
        "   van de camera staat ook in het logboek (regel camera.added in logboek/entries.jsonl).",
    ]


def _check_recording(bag_name: str, name: str, is_signed: bool) -> list[str]:
    folder = f"{bag_name}/data/{name}"
    if not is_signed:
        return [
            "",
            f"   {name}: deze camera ondertekent niets. Het logboek zegt wat de gemeente "
            f"heeft ingelezen.",
        ]
    verify = (
        f"openssl pkeyutl -verify -pubin -inkey {folder}/camera.pub.pem -rawin -in "
        f"{folder}/recording.json "
        f"-sigfile {folder}/recording.sig"
    )
    compare = (
        'python3 -c "import json,hashlib,sys; d=sys.argv[1]; '
        "[sys.exit('verschilt: '+s['name']) for s in "
        "json.load(open(d+'/recording.json'))['segments'] "
        "if hashlib.sha256(open(d+'/segmenten/'+s['name'],'rb').read()).hexdigest()"
        "!=s['sha256']]; print('gelijk')\" "
        f"{folder}"
    )
    return ["", f"   $ {verify}", f"   $ {compare}"]


def _check_playback(bag_name: str, names: Sequence[str]) -> list[str]:
    return [
        "",
        "5. Afspelen. opname.mp4 is niets anders dan de segmenten achter elkaar:",
        "",
        *(
            f"   $ cat {bag_name}/data/{name}/segmenten/* | cmp - {bag_name}/data/{name}/opname.mp4"
            for name in names
        ),
        "",
        "6. overdracht.pdf vertelt elke stap van het aanzetten tot de overdracht. "
        "logboek/entries.jsonl zijn de regels van het",
        "   logboek daarover, byte voor byte; logboek/bewijzen.json bewijst dat zij in het "
        "ondertekende logboek staan (RFC 6962,",
        "   C2SP tlog-checkpoint).",
        "",
    ]
