"""Papers: texts that hold personal data, apart from the log. The log has a paper's SHA-256, so that
it can go without the log's being touched; while it stands, nobody alters it unseen.
`register/papers/<id>.json`, FORMAT.md, section 5.
"""

import hashlib
import uuid
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from vault.catalogue import deletion_rows
from vault.crypto.canonical_json import Json, parse_object
from vault.errors import StorageFailed
from vault.storage.durable import overwrite_and_remove
from vault.storage.paper_files import paper_file, papers_in, write_paper
from vault.storage.small_files import read_small
from vault.vault import Vault

LIMIT_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Paper:
    """A paper's id and digest, as an entry of the log carries them."""

    id: str
    sha256: str

    def details(self) -> Json:
        return {"paper": self.id, "paper_sha256": self.sha256}


def _register(vault: Vault) -> Path:
    return vault.settings.root / "register"


def file_paper(vault: Vault, text: Json) -> Paper:
    """Write a paper, durably, before the entry that names it. Raises StorageFailed, VaultFull."""
    paper = paper_file(str(uuid.uuid4()), text)
    write_paper(_register(vault), paper)
    return Paper(paper.id, paper.sha256)


def read_paper(vault: Vault, paper: Paper) -> Json | None:
    """The text of a paper; None where it was removed. Raises StorageFailed where it is not the one
    that was filed.
    """
    path = papers_in(_register(vault)) / f"{paper.id}.json"
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
    overwrite_and_remove(papers_in(_register(vault)) / f"{paper_id}.json")


def papers_of(tx: sa.Connection, subject: str) -> list[tuple[str, Paper]]:
    """The papers of a case, a report, a viewing, an absence or a recording that stand: the action
    of the entry that names each, and the paper.
    """
    return [(row.action, Paper(row.id, row.sha256)) for row in deletion_rows.papers_of(tx, subject)]


def reason_paper(tx: sa.Connection, subject: str, action: str) -> Paper | None:
    """The paper that holds why an absence was recorded or a recording deleted; None where there is
    none.
    """
    return next((paper for named, paper in papers_of(tx, subject) if named == action), None)


def read_reason(vault: Vault, paper: Paper | None) -> str | None:
    """The reason in such a paper; None where it is gone. Raises StorageFailed."""
    text = read_paper(vault, paper) if paper is not None else None
    return str(text["reason"]) if text is not None else None
