"""A terminal to test with: commands as officials type them, their passphrases on standard input."""

from pathlib import Path

from click.testing import CliRunner, Result

from tests.support.office import ESCROW, Office
from vault.__main__ import commands
from vault.errors import Failure


class Desk:
    """Somebody at a terminal, with everybody's passphrases to type."""

    def __init__(self, here: Office, folder: Path) -> None:
        self.here = here
        self.config = folder / "vault.toml"
        self.config.write_text(
            f'root = "{here.settings.root}"\npins = "{here.settings.pins}"\nreserve_mb = 1\n'
        )

    def type(self, *words: object, by: tuple[str, ...] = (), typed: tuple[str, ...] = ()) -> Result:
        """Run a command; `by`: whose passphrases are asked, after what else is typed."""
        lines = [*typed, *(self.here.secrets.get(name) or ESCROW[name] for name in by)]
        named = [word for name in by if name not in ESCROW for word in ("--as", name)]
        asked = [str(word) for word in (*words, *named, "--config", self.config)]
        result = CliRunner().invoke(commands, asked, input="".join(f"{line}\n" for line in lines))
        for secret in (*self.here.secrets.values(), *ESCROW.values()):
            assert secret not in result.output
        return result

    def done(self, *words: object, by: tuple[str, ...] = (), typed: tuple[str, ...] = ()) -> str:
        result = self.type(*words, by=by, typed=typed)
        assert result.exit_code == 0, (words, result.output, result.exception)
        return (
            result.output
            if "--json" in words or "--csv" in words
            else " ".join(result.output.split())
        )

    def refused(self, *words: object, by: tuple[str, ...] = ()) -> Failure:
        result = self.type(*words, by=by)
        assert isinstance(result.exception, Failure), (result.output, result.exception)
        return result.exception
