"""Papers: texts that hold personal data, apart from the log. The log has a paper's SHA-256, so that
it can go without the log's being touched; while it stands, nobody alters it unseen.
`register/papers/<id>.json`, FORMAT.md, section 5.
"""

import hashlib
import uuid
from dataclasses import dataclass
from pathlib import Path

from vault.crypto.canonical_json import Json, parse_object, readable
from vault.errors import StorageFailed
from vault.storage.durable import make_folder, overwrite_and_remove, write_new
from vault.storage.small_files import read_small
from vault.vault import Vault

FORMAT = "dock-vault/paper/1"
LIMIT_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Paper:
    """A paper's id and digest, as an entry of the log carries them."""

    id: str
    sha256: str

    def details(self) -> Json:
        return {"paper": self.id, "paper_sha256": self.sha256}


def _folder(vault: Vault) -> Path:
    return vault.settings.root / "register" / "papers"


def file_paper(vault: Vault, text: Json) -> Paper:
    """Write a paper, durably, before the entry that names it. Raises StorageFailed, VaultFull."""
    paper_id = str(uuid.uuid4())
    content = readable({"format": FORMAT, "paper": paper_id, "text": text})
    folder = _folder(vault)
    make_folder(folder, within=vault.settings.root / "register")
    write_new(folder / f".{paper_id}.part", folder / f"{paper_id}.json", content)
    return Paper(paper_id, hashlib.sha256(content).hexdigest())


def read_paper(vault: Vault, paper: Paper) -> Json | None:
    """The text of a paper; None where it was removed. Raises StorageFailed where it is not the one
    that was filed.
    """
    path = _folder(vault) / f"{paper.id}.json"
    if not path.exists():
        return None
    content = read_small(path, LIMIT_BYTES)
    if hashlib.sha256(content).hexdigest() != paper.sha256:
        raise StorageFailed(
            f"The paper {paper.id} is not the one that was filed.", hint="Fetch it from a backup."
        )
    text: Json = parse_object(content)["text"]
    return text


def remove_paper(vault: Vault, paper_id: str) -> None:
    """Remove a paper for good; one that is gone already is as good."""
    overwrite_and_remove(_folder(vault) / f"{paper_id}.json")
