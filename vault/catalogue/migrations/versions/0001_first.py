"""Cameras, dockings, recordings, sealed files and the log."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "meta",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )
    op.create_table(
        "camera",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("serial", sa.Text, nullable=False, index=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("public_key", sa.LargeBinary, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("added_utc", sa.Text, nullable=False),
        sa.Column("removed_utc", sa.Text),
    )
    op.create_table(
        "docking",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("camera_serial", sa.Text, nullable=False, index=True),
        sa.Column("docked_utc", sa.Text, nullable=False),
        sa.Column("offset_ms", sa.Integer),
        sa.Column("offset_source", sa.Text, nullable=False),
    )
    op.create_table(
        "recording",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("folder", sa.Text, nullable=False),
        sa.Column("origin", sa.Text, nullable=False),
        sa.Column("camera_serial", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("identity", sa.Text, nullable=False),
        sa.Column("counter", sa.Integer),
        sa.Column("officer", sa.Text),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("proven", sa.Boolean, nullable=False),
        sa.Column("started_utc", sa.Text),
        sa.Column("triggered_utc", sa.Text),
        sa.Column("stopped_utc", sa.Text),
        sa.Column("stop_reason", sa.Text),
        sa.Column("docked_utc", sa.Text, nullable=False),
        sa.Column("offset_ms", sa.Integer),
        sa.Column("retention_from_utc", sa.Text, nullable=False),
        sa.Column("stop_believed", sa.Boolean, nullable=False),
        sa.Column("preroll_claimed_ms", sa.Integer),
        sa.Column("preroll_short_because", sa.Text),
        sa.Column("wholeness", sa.Text, nullable=False),
        sa.Column("preroll_ms", sa.Integer),
        sa.Column("duration_ms", sa.Integer),
        sa.Column("findings", sa.Text, nullable=False),
        sa.Column("size_bytes", sa.Integer, nullable=False),
        sa.Column("record_sha256", sa.Text, nullable=False),
        sa.Column("stored_utc", sa.Text, nullable=False),
    )
    op.create_index("recording_by_name", "recording", ["camera_serial", "name"])
    op.create_index("recording_by_state", "recording", ["state", "camera_serial"])
    op.create_index("recording_by_counter", "recording", ["camera_serial", "counter"])
    op.create_table(
        "sealed_file",
        sa.Column("recording_id", sa.Text, sa.ForeignKey("recording.id"), primary_key=True),
        sa.Column("sealed_name", sa.Text, primary_key=True),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("size_bytes", sa.Integer, nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("head_sha256", sa.Text, nullable=False),
        sa.Column("tail_sha256", sa.Text, nullable=False),
        sa.Column("sealed_bytes", sa.Integer, nullable=False),
        sa.Column("sealed_sha256", sa.Text, nullable=False),
    )
    op.create_table(
        "log",
        sa.Column("sequence", sa.Integer, primary_key=True),
        sa.Column("leaf", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "log_head",
        sa.Column("only", sa.Integer, primary_key=True),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("peaks", sa.LargeBinary, nullable=False),
    )
