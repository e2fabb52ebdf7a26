"""Custody: persons, replacements, assignments, reports, cases and holds, viewings, deletions,
hand-overs.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    for column in ("officer_person", "archived_utc", "destroyed_utc"):
        op.add_column("recording", sa.Column(column, sa.Text))
    op.add_column("recording", sa.Column("log_sequence", sa.Integer))
    op.add_column("recording", sa.Column("unsure_until_utc", sa.Text))
    op.create_index("recording_by_sequence", "recording", ["log_sequence"])
    op.create_index("recording_by_age", "recording", ["destroyed_utc", "retention_from_utc"])
    op.create_index("recording_by_start", "recording", ["started_utc"])
    op.create_index("recording_by_storing", "recording", ["stored_utc", "id"])
    op.create_table(
        "person",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("officer", sa.Text),
        sa.Column("administrator", sa.Boolean, nullable=False),
        sa.Column("enrolled_utc", sa.Text, nullable=False),
        sa.Column("left_utc", sa.Text),
    )
    op.create_table(
        "holding",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("person", sa.Text, nullable=False, index=True),
        sa.Column("function", sa.Text, nullable=False),
        sa.Column("standing", sa.Boolean, nullable=False),
        sa.Column("from_utc", sa.Text, nullable=False),
        sa.Column("until_utc", sa.Text),
    )
    op.create_table(
        "absence",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("absent", sa.Text, nullable=False),
        sa.Column("substitute", sa.Text, nullable=False, index=True),
        sa.Column("granted_by", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("from_utc", sa.Text, nullable=False),
        sa.Column("until_utc", sa.Text, nullable=False),
        sa.Column("ended_utc", sa.Text),
    )
    op.create_table(
        "assignment",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("camera_serial", sa.Text, nullable=False, index=True),
        sa.Column("person", sa.Text, nullable=False),
        sa.Column("from_utc", sa.Text, nullable=False),
        sa.Column("until_utc", sa.Text),
    )
    op.create_table(
        "present",
        sa.Column("recording_id", sa.Text, primary_key=True),
        sa.Column("person", sa.Text, primary_key=True),
        sa.Column("how", sa.Text, nullable=False),
    )
    op.create_table(
        "report",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("person", sa.Text, nullable=False),
        sa.Column("addressee", sa.Text, nullable=False),
        sa.Column("used_utc", sa.Text, nullable=False),
        sa.Column("due_utc", sa.Text, nullable=False),
        sa.Column("filed_utc", sa.Text, nullable=False),
        sa.Column("location", sa.Text, nullable=False),
        sa.Column("announced", sa.Boolean, nullable=False),
        sa.Column("informed", sa.Boolean, nullable=False),
        sa.Column("received_utc", sa.Text),
        sa.Column("received_by", sa.Text),
    )
    op.create_table(
        "report_recording",
        sa.Column("report_id", sa.Text, primary_key=True),
        sa.Column("recording_id", sa.Text, primary_key=True),
    )
    op.create_index("report_by_recording", "report_recording", ["recording_id"])
    op.create_table(
        "case_file",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("reference", sa.Text, nullable=False),
        sa.Column("received_utc", sa.Text, nullable=False),
        sa.Column("registered_utc", sa.Text, nullable=False),
        sa.Column("registered_by", sa.Text, nullable=False),
        sa.Column("concerned", sa.Text, nullable=False),
        sa.Column("granted", sa.Boolean),
        sa.Column("decided_utc", sa.Text),
        sa.Column("decided_by", sa.Text),
        sa.Column("objection_until_utc", sa.Text),
        sa.Column("carried_out_utc", sa.Text),
        sa.Column("objected_utc", sa.Text),
        sa.Column("objection_decided_utc", sa.Text),
        sa.Column("objection_upheld", sa.Boolean),
        sa.Column("closed_utc", sa.Text, index=True),
        sa.Column("closed_reference", sa.Text),
    )
    op.create_table(
        "hold",
        sa.Column("case_id", sa.Text, sa.ForeignKey("case_file.id"), primary_key=True),
        sa.Column("recording_id", sa.Text, primary_key=True),
        sa.Column("since_utc", sa.Text, nullable=False),
        sa.Column("lifted_utc", sa.Text),
    )
    op.create_index("hold_by_recording", "hold", ["recording_id"])
    op.create_table(
        "viewing",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("case_id", sa.Text),
        sa.Column("requested_by", sa.Text, nullable=False),
        sa.Column("requested_utc", sa.Text, nullable=False),
        sa.Column("approved_by", sa.Text),
        sa.Column("refused_utc", sa.Text),
        sa.Column("opened_utc", sa.Text),
        sa.Column("first", sa.Text),
        sa.Column("second", sa.Text),
        sa.Column("ended_utc", sa.Text),
        sa.Column("ended_because", sa.Text),
    )
    op.create_table(
        "viewing_recording",
        sa.Column("viewing_id", sa.Text, primary_key=True),
        sa.Column("recording_id", sa.Text, primary_key=True),
    )
    op.create_index("viewing_by_recording", "viewing_recording", ["recording_id"])
    op.create_table(
        "mark",
        sa.Column("recording_id", sa.Text, primary_key=True),
        sa.Column("marked_utc", sa.Text, nullable=False),
        sa.Column("running_s", sa.Float, nullable=False),
    )
    op.create_table(
        "destruction",
        sa.Column("recording_id", sa.Text, primary_key=True),
        sa.Column("destroyed_utc", sa.Text, nullable=False, index=True),
        sa.Column("because", sa.Text, nullable=False),
        sa.Column("confirmed_utc", sa.Text),
    )
    op.create_table(
        "paper",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("subject", sa.Text, nullable=False, index=True),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("removed_utc", sa.Text),
    )
    op.create_table(
        "hand_over",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("case_id", sa.Text, nullable=False),
        sa.Column("by_person", sa.Text, nullable=False),
        sa.Column("made_utc", sa.Text, nullable=False),
        sa.Column("receiver", sa.Text, nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("received_utc", sa.Text),
        sa.Column("received_by", sa.Text),
    )
