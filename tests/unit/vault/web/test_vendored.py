"""What stands in the house from elsewhere is what was taken, unmodified, with its licence; the page
says so to the browser.
"""

import base64
import hashlib
import json
from importlib.resources import files
from pathlib import Path

VENDOR = Path(str(files("vault.web") / "vendor"))


def test_vendored_files_are_the_ones_that_were_taken() -> None:
    listed = json.loads((VENDOR / "vendor.json").read_text())
    for name, told in listed.items():
        assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == told["sha256"], name
        assert told["licence"] in ("Apache-2.0", "EUPL-1.2")
    standing = {path.name for path in VENDOR.iterdir() if path.suffix in (".js", ".css")}
    assert standing == set(listed)
    assert len(list(VENDOR.glob("*LICENSE*"))) == len(listed)


def test_the_player_s_library_is_held_against_its_digest_by_the_browser() -> None:
    digest = base64.b64encode(
        hashlib.sha384((VENDOR / "hls.light.min.js").read_bytes()).digest()
    ).decode()
    assert (
        f'integrity="sha384-{digest}"' in (VENDOR.parent / "templates" / "watch.html").read_text()
    )
