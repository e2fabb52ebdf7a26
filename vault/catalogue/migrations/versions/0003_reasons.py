"""The reasons of absences: out of the catalogue, into papers.

The papers are durable before the transaction that drops the texts commits. The table is made anew,
and the pages of the old one are overwritten, so that no byte of a reason stays in the file.
"""

import sqlalchemy as sa
from alembic import op

from vault.storage.paper_files import reason_of_absence, write_paper

revision = "0003"
down_revision = "0002"

KEPT = "id, role, absent, substitute, granted_by, from_utc, until_utc, ended_utc"


def upgrade() -> None:
    config = op.get_context().config
    assert config is not None
    register = config.attributes["register"]
    connection = op.get_bind()
    connection.exec_driver_sql("PRAGMA secure_delete = ON").fetchall()
    paper = sa.table("paper", *(sa.column(name) for name in ("id", "subject", "action", "sha256")))
    for absence_id, reason in connection.exec_driver_sql("SELECT id, reason FROM absence").all():
        moved = reason_of_absence(absence_id, reason)
        write_paper(register, moved)
        connection.execute(
            sa.insert(paper).values(
                id=moved.id, subject=absence_id, action="absence.recorded", sha256=moved.sha256
            )
        )
    op.create_table(
        "absence_new",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("absent", sa.Text, nullable=False),
        sa.Column("substitute", sa.Text, nullable=False),
        sa.Column("granted_by", sa.Text, nullable=False),
        sa.Column("from_utc", sa.Text, nullable=False),
        sa.Column("until_utc", sa.Text, nullable=False),
        sa.Column("ended_utc", sa.Text),
    )
    op.execute(f"INSERT INTO absence_new ({KEPT}) SELECT {KEPT} FROM absence")
    op.drop_table("absence")
    op.rename_table("absence_new", "absence")
    op.create_index("ix_absence_substitute", "absence", ["substitute"])
