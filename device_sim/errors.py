"""What can go wrong with a camera: one tree, each error a sentence and what to do about it."""

from __future__ import annotations


class DeviceError(Exception):
    """The root. `sentence` says what is wrong, `hint` what the person at the keyboard can do."""

    def __init__(self, sentence: str, hint: str) -> None:
        super().__init__(f"{sentence} {hint}")
        self.sentence = sentence
        self.hint = hint


class ProfileError(DeviceError):
    """A camera cannot be built this way."""


class NotACameraError(DeviceError):
    """The folder holds no camera, or its internal memory cannot be read."""


class WrongStateError(DeviceError):
    """The button does nothing in this state."""


class CardFullError(DeviceError):
    """There is no room for a pre-roll and one second more."""


class ScriptError(DeviceError):
    """A line of a shift's script cannot be played. `line` counts from 1."""

    def __init__(self, line: int, sentence: str, hint: str) -> None:
        super().__init__(f"Line {line}: {sentence}", hint)
        self.line = line


class DockError(DeviceError):
    """The card cannot be put into the watched folder, or not be taken from it."""
