"""The escrow's codes: what the two holders keep on paper, as text with a checksum and as a QR code.
Pure.

A code is 160 random bits in Crockford's base32 (no I, L, O, U), in eight groups of four, and a
ninth group that is the first 20 bits of the SHA-256 of the 32 characters before it: a slip of the
pen is found when it is typed, and the group to look at named.
"""

import hashlib
import os
from io import BytesIO, StringIO

import segno

from vault.errors import Reaction, VaultError

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
GROUPS = 8
GROUP_LENGTH = 4
_ALIKE = str.maketrans({"I": "1", "L": "1", "O": "0", "U": "V"})


class BadCode(VaultError):
    """A code was mistyped."""

    code = "escrow.bad_code"
    reaction = Reaction.REFUSE
    hint = "Compare it with the paper group by group, or scan the QR code."


def _base32(number: int, length: int) -> str:
    return "".join(ALPHABET[number >> 5 * at & 31] for at in reversed(range(length)))


def _check(text: str) -> str:
    return _base32(int.from_bytes(hashlib.sha256(text.encode()).digest()[:3]) >> 4, GROUP_LENGTH)


def new_code(random_bytes: bytes | None = None) -> str:
    """A fresh code, as it is printed. `random_bytes`: 20, for tests."""
    text = _base32(int.from_bytes(random_bytes or os.urandom(20)), GROUPS * GROUP_LENGTH)
    return grouped(text + _check(text))


def grouped(text: str) -> str:
    return "-".join(text[at : at + GROUP_LENGTH] for at in range(0, len(text), GROUP_LENGTH))


def as_typed(typed: str) -> str:
    """What an escrow holder typed: the code as it was printed, however it is written; anything else
    as it is, for an escrow that was founded with passphrases. Raises BadCode.
    """
    meant = (
        typed.count("-") >= GROUPS
        or len("".join(typed.replace("-", " ").split())) == (GROUPS + 1) * GROUP_LENGTH
    )
    return read_code(typed) if meant else typed


def read_code(typed: str) -> str:
    """The code as it was printed, from what a person typed or a scanner read. Raises BadCode."""
    text = "".join(char for char in typed.upper() if not char.isspace() and char != "-").translate(
        _ALIKE
    )
    strange = sorted({char for char in text if char not in ALPHABET})
    if strange:
        raise BadCode(f"A code has no {' '.join(strange)}.")
    if len(text) != (GROUPS + 1) * GROUP_LENGTH:
        raise BadCode(
            f"The code has {len(text)} characters instead of {(GROUPS + 1) * GROUP_LENGTH}."
        )
    body, check = text[: GROUPS * GROUP_LENGTH], text[GROUPS * GROUP_LENGTH :]
    if _check(body) != check:
        raise BadCode(
            "The code's last group does not fit the others: one of its characters is another "
            "than on the paper."
        )
    return grouped(text)


def paper(holder: str, vault_id: str, made_utc: str, code: str) -> str:
    """The page that a holder keeps, for a printer that knows text: what it is, the code, its QR
    code.
    """
    picture = StringIO()
    segno.make(code, error="m").terminal(out=picture, compact=True, border=2)
    return (
        f"{holder} · escrow code of the vault {vault_id}\nMade {made_utc}\n\n"
        f"    {code}\n\n{picture.getvalue()}\n"
        "With the other holder's code this opens every recording. Alone it opens nothing. "
        "Keep it sealed, apart from the other\n"
        "code and away from the vault. Needed: when a function's only holder is gone, and at "
        "the restore drill twice a year.\n"
    )


def picture_svg(code: str) -> bytes:
    """The code as a QR code in SVG."""
    out = BytesIO()
    segno.make(code, error="m").save(out, kind="svg", scale=6, border=4, xmldecl=True, svgns=True)
    return out.getvalue()
