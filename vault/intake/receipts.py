"""Receipts: what the vault proved of a recording. Only a receipt allows an erase."""

import sqlalchemy as sa

from vault.catalogue import recording_rows
from vault.catalogue.recording_rows import RecordingRow
from vault.clock import utc_moment
from vault.recording import (
    Receipt,
    State,
)
from vault.storage.store import MANIFEST_NAME

ACTOR = "dockd"
"""Who the log names for what the dock did."""


def receipt_of(tx: sa.Connection, row: RecordingRow) -> Receipt:
    files = recording_rows.files_of(tx, row.id)
    segments = tuple(file for file in files if file.sealed_name != MANIFEST_NAME)
    return Receipt(
        row.id,
        row.camera_serial,
        row.name,
        row.identity,
        State(row.state),
        utc_moment(row.stored_utc),
        segments,
    )


def demand_row(tx: sa.Connection, receipt: Receipt) -> RecordingRow:
    return recording_rows.get_recording(tx, receipt.recording_id)
