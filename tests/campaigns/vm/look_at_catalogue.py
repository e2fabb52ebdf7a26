"""Runs in the guest: `look_at_catalogue.py CATALOGUE` says as JSON what a catalogue holds. A
journal beside it is played back.
"""

import hashlib
import json
import sqlite3
import sys


def main() -> None:
    connection = sqlite3.connect(sys.argv[1])
    (schema,) = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    tables = {
        name
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    }
    columns = {row[1] for row in connection.execute("PRAGMA table_info(docking)")}
    dockings = connection.execute(
        "SELECT id, camera_serial, docked_utc, offset_ms, offset_source FROM docking ORDER BY id"
    ).fetchall()
    written = 0
    if "note" in columns:
        for number, serial, note in connection.execute(
            "SELECT id, camera_serial, note FROM docking"
        ).fetchall():
            digest = hashlib.sha256(f"{number} {serial}".encode()).hexdigest()
            beside = connection.execute(
                "SELECT digest FROM docking_digest WHERE id = ?", (number,)
            ).fetchone()
            written += note == digest * 8 and beside == (digest,)
    said = {
        "schema": schema,
        "sound": [word for (word,) in connection.execute("PRAGMA integrity_check")],
        "astray": len(connection.execute("PRAGMA foreign_key_check").fetchall()),
        "dockings": len(dockings),
        "dockings_sha256": hashlib.sha256(repr(dockings).encode()).hexdigest(),
        "recordings": sorted(row[0] for row in connection.execute("SELECT id FROM recording")),
        "log": connection.execute("SELECT count(*) FROM log").fetchone()[0],
        "new_table": "docking_digest" in tables,
        "written_anew": written,
    }
    print(json.dumps(said))


if __name__ == "__main__":
    main()
