"""The catalogue's tables. Every custody row follows from the log (`log/projections.py`). Times are
text as in FORMAT.md.
"""

import sqlalchemy as sa

tables = sa.MetaData()

meta = sa.Table(
    "meta",
    tables,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)

camera = sa.Table(
    "camera",
    tables,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("serial", sa.Text, nullable=False, index=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("public_key", sa.LargeBinary, nullable=False),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("added_utc", sa.Text, nullable=False),
    sa.Column("removed_utc", sa.Text),
)

docking = sa.Table(
    "docking",
    tables,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("camera_serial", sa.Text, nullable=False, index=True),
    sa.Column("docked_utc", sa.Text, nullable=False),
    sa.Column("offset_ms", sa.Integer),
    sa.Column("offset_source", sa.Text, nullable=False),
)

recording = sa.Table(
    "recording",
    tables,
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
    sa.Column("officer_person", sa.Text),
    sa.Column("archived_utc", sa.Text),
    sa.Column("destroyed_utc", sa.Text),
    sa.Column("log_sequence", sa.Integer),
    sa.Column("unsure_until_utc", sa.Text),
    sa.Index("recording_by_sequence", "log_sequence"),
    sa.Index("recording_by_age", "destroyed_utc", "retention_from_utc"),
    sa.Index("recording_by_start", "started_utc"),
    sa.Index("recording_by_storing", "stored_utc", "id"),
    sa.Index("recording_by_name", "camera_serial", "name"),
    sa.Index("recording_by_state", "state", "camera_serial"),
    sa.Index("recording_by_counter", "camera_serial", "counter"),
)

sealed_file = sa.Table(
    "sealed_file",
    tables,
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

log = sa.Table(
    "log",
    tables,
    sa.Column("sequence", sa.Integer, primary_key=True),
    sa.Column("leaf", sa.LargeBinary, nullable=False),
)

log_head = sa.Table(
    "log_head",
    tables,
    sa.Column("only", sa.Integer, primary_key=True),
    sa.Column("size", sa.Integer, nullable=False),
    sa.Column("peaks", sa.LargeBinary, nullable=False),
)


person = sa.Table(
    "person",
    tables,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("officer", sa.Text),
    sa.Column("administrator", sa.Boolean, nullable=False),
    sa.Column("enrolled_utc", sa.Text, nullable=False),
    sa.Column("left_utc", sa.Text),
)

holding = sa.Table(
    "holding",
    tables,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("person", sa.Text, nullable=False, index=True),
    sa.Column("function", sa.Text, nullable=False),
    sa.Column("standing", sa.Boolean, nullable=False),
    sa.Column("from_utc", sa.Text, nullable=False),
    sa.Column("until_utc", sa.Text),
)

absence = sa.Table(
    "absence",
    tables,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("absent", sa.Text, nullable=False),
    sa.Column("substitute", sa.Text, nullable=False, index=True),
    sa.Column("granted_by", sa.Text, nullable=False),
    sa.Column("from_utc", sa.Text, nullable=False),
    sa.Column("until_utc", sa.Text, nullable=False),
    sa.Column("ended_utc", sa.Text),
)

assignment = sa.Table(
    "assignment",
    tables,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("camera_serial", sa.Text, nullable=False, index=True),
    sa.Column("person", sa.Text, nullable=False),
    sa.Column("from_utc", sa.Text, nullable=False),
    sa.Column("until_utc", sa.Text),
)

present = sa.Table(
    "present",
    tables,
    sa.Column("recording_id", sa.Text, primary_key=True),
    sa.Column("person", sa.Text, primary_key=True),
    sa.Column("how", sa.Text, nullable=False),
)

report = sa.Table(
    "report",
    tables,
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

report_recording = sa.Table(
    "report_recording",
    tables,
    sa.Column("report_id", sa.Text, primary_key=True),
    sa.Column("recording_id", sa.Text, primary_key=True),
    sa.Index("report_by_recording", "recording_id"),
)

case_file = sa.Table(
    "case_file",
    tables,
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

hold = sa.Table(
    "hold",
    tables,
    sa.Column("case_id", sa.Text, sa.ForeignKey("case_file.id"), primary_key=True),
    sa.Column("recording_id", sa.Text, primary_key=True),
    sa.Column("since_utc", sa.Text, nullable=False),
    sa.Column("lifted_utc", sa.Text),
    sa.Index("hold_by_recording", "recording_id"),
)

viewing = sa.Table(
    "viewing",
    tables,
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

viewing_recording = sa.Table(
    "viewing_recording",
    tables,
    sa.Column("viewing_id", sa.Text, primary_key=True),
    sa.Column("recording_id", sa.Text, primary_key=True),
    sa.Index("viewing_by_recording", "recording_id"),
)

mark = sa.Table(
    "mark",
    tables,
    sa.Column("recording_id", sa.Text, primary_key=True),
    sa.Column("marked_utc", sa.Text, nullable=False),
    sa.Column("running_s", sa.Float, nullable=False),
)

destruction = sa.Table(
    "destruction",
    tables,
    sa.Column("recording_id", sa.Text, primary_key=True),
    sa.Column("destroyed_utc", sa.Text, nullable=False, index=True),
    sa.Column("because", sa.Text, nullable=False),
    sa.Column("confirmed_utc", sa.Text),
)

paper = sa.Table(
    "paper",
    tables,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("subject", sa.Text, nullable=False, index=True),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("sha256", sa.Text, nullable=False),
    sa.Column("removed_utc", sa.Text),
)

hand_over = sa.Table(
    "hand_over",
    tables,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("case_id", sa.Text, nullable=False),
    sa.Column("by_person", sa.Text, nullable=False),
    sa.Column("made_utc", sa.Text, nullable=False),
    sa.Column("receiver", sa.Text, nullable=False),
    sa.Column("sha256", sa.Text, nullable=False),
    sa.Column("received_utc", sa.Text),
    sa.Column("received_by", sa.Text),
)
