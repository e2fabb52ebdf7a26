"""The files of papers: texts with personal data, apart from the log, which has their SHA-256.
`register/papers/<id>.json`, FORMAT.md, section 5.
"""

import hashlib
import uuid
from dataclasses import dataclass
from pathlib import Path

from vault.crypto.canonical_json import Json, readable
from vault.storage.durable import make_folder, remove_file, replace_new

FORMAT = "dock-vault/paper/1"
_REASONS_OF_ABSENCES = uuid.UUID("6f1c2f0e-5d0b-4c36-9a53-0d6f7a1f4f6c")
"""With an absence's id it gives the id of the paper with the reason that an old entry holds."""


@dataclass(frozen=True, slots=True)
class PaperFile:
    """A paper's id and the bytes of its file."""

    id: str
    content: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


def paper_file(paper_id: str, text: Json) -> PaperFile:
    return PaperFile(paper_id, readable({"format": FORMAT, "paper": paper_id, "text": text}))


def reason_of_absence(absence_id: str, reason: str) -> PaperFile:
    """The paper of a reason that stands in the log's own entry of an absence, as vaults of schema
    0002 wrote it. Id and bytes follow from the entry: a migration and a rebuild come to the same.
    """
    return paper_file(str(uuid.uuid5(_REASONS_OF_ABSENCES, absence_id)), {"reason": reason})


def papers_in(register: Path) -> Path:
    """The folder of the papers."""
    return register / "papers"


def write_paper(register: Path, paper: PaperFile) -> None:
    """Write a paper, durably, over what a killed process left of it. Raises StorageFailed,
    VaultFull.
    """
    folder = papers_in(register)
    make_folder(folder, within=register)
    part = folder / f".{paper.id}.part"
    remove_file(part)
    replace_new(part, folder / f"{paper.id}.json", paper.content)
