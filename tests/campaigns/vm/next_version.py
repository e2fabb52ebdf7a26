"""The package that follows this one: the same sources with another migration, other settings by
default, and a higher version.
"""

import re
import shutil
import tomllib
from pathlib import Path

from tests.support.places import REPOSITORY

PARTS = ("vault", "dockd", "config", "docs", "systemd", "requirements", "pyproject.toml")
THIS_VERSION = str(tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["version"])
VERSION = re.sub(r"\d+", lambda major: str(int(major[0]) + 1), THIS_VERSION, count=1)
CATALOGUE = "vault/catalogue/database.py"
MIGRATIONS = "vault/catalogue/migrations/versions"
DIGESTS = "docking_digest"

MIGRATION = '''\
"""Makes a table and writes thousands of rows anew, one by one: long enough for a power cut to meet it."""

import hashlib

import sqlalchemy as sa
from alembic import op

revision = "{new}"
down_revision = "{old}"


def upgrade() -> None:
    op.create_table("{table}", sa.Column("id", sa.Integer, primary_key=True), sa.Column("digest", sa.Text, nullable=False))
    op.add_column("docking", sa.Column("note", sa.Text))
    tx = op.get_bind()
    for number, serial in tx.execute(sa.text("SELECT id, camera_serial FROM docking ORDER BY id")).fetchall():
        digest = hashlib.sha256(f"{{number}} {{serial}}".encode()).hexdigest()
        tx.execute(sa.text("INSERT INTO {table} VALUES (:id, :digest)"), {{"id": number, "digest": digest}})
        tx.execute(sa.text("UPDATE docking SET note = :note WHERE id = :id"), {{"id": number, "note": digest * 8}})
'''

SETTING = "\n# A setting of the next version. Default: true.\n# next = true\n"


def next_sources(folder: Path) -> tuple[Path, str, str]:
    """A copy of the sources as the next version has them; the schema of this one and
    of that one.
    """
    copy = folder / "next"
    copy.mkdir()
    for name in PARTS:
        source = REPOSITORY / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, copy / name)
    catalogue = copy / CATALOGUE
    (old,) = re.findall(r'^SCHEMA_VERSION = "(\d{4})"$', catalogue.read_text(), re.MULTILINE)
    new = f"{int(old) + 1:04d}"
    catalogue.write_text(
        catalogue.read_text().replace(f'SCHEMA_VERSION = "{old}"', f'SCHEMA_VERSION = "{new}"')
    )
    migration = copy / MIGRATIONS / f"{new}_next.py"
    migration.write_text(MIGRATION.format(old=old, new=new, table=DIGESTS))
    for settings in ("dockd.toml", "vault.toml", "devices"):
        # Before the table at the end, where there is one: a key after it would be the table's.
        path = copy / "config" / settings
        path.write_text(SETTING.lstrip() + "\n" + path.read_text())
    return copy, old, new
