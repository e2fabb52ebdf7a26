"""The rules: those of `config/alerts.yml` and those of the vault's own notifier are the same, at
every boundary.
"""

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pytest

from tests.support.office import Office
from tests.support.places import CONFIG
from vault.monitoring.alarms import RULES, Rule
from vault.monitoring.metrics import read_gauges

YML = (CONFIG / "alerts.yml").read_text()


@dataclass(frozen=True, slots=True)
class Written:
    """A rule as the file for Prometheus has it."""

    expr: str
    lasting_s: int
    severity: str
    summary: str
    action: str


def written() -> dict[str, Written]:
    form = re.compile(
        r"- alert: (\w+)\n +expr: (.+)\n +for: (\d+)([mh])\n +labels: \{severity: (\w+)\}\n"
        r' +annotations:\n +summary: (.+)\n +action: "(.+)"\n'
    )
    found = {
        name: Written(expr, int(count) * {"m": 60, "h": 3600}[unit], severity, summary, action)
        for name, expr, count, unit, severity, summary, action in form.findall(YML)
    }
    assert len(found) == YML.count("- alert: ")
    return found


class Expression:
    """What Prometheus makes of an expression over figures of one value each: `*`, comparisons,
    `and`, `or`, parentheses.
    """

    def __init__(self, text: str, figures: Mapping[str, float]) -> None:
        self._words = re.findall(r"[a-z_]+|\d+|==|[<>*()-]", text)
        assert "".join(self._words) == text.replace(" ", "")
        self._figures = figures

    def holds(self) -> bool:
        value = self._any()
        assert not self._words, f"left over: {self._words}"
        assert isinstance(value, bool)
        return value

    def _taken(self, *words: str) -> str | None:
        return self._words.pop(0) if self._words and self._words[0] in words else None

    def _any(self) -> bool | float:
        value = self._all()
        while self._taken("or"):
            value = bool(self._all()) | bool(value)
        return value

    def _all(self) -> bool | float:
        value = self._compared()
        while self._taken("and"):
            value = bool(self._compared()) & bool(value)
        return value

    def _compared(self) -> bool | float:
        left = self._product()
        match self._taken("==", "<", ">"):
            case "==":
                return left == self._product()
            case "<":
                return left < self._product()
            case ">":
                return left > self._product()
        return left

    def _product(self) -> float:
        value = self._atom()
        while self._taken("*"):
            value = value * self._atom()
        return value

    def _atom(self) -> float:
        if self._taken("("):
            value = self._any()
            assert self._taken(")")
            return value
        sign = -1 if self._taken("-") else 1
        word = self._words.pop(0)
        return sign * (
            float(word) if word.isdigit() else self._figures[word.removeprefix("dock_vault_")]
        )


def boundaries(expr: str) -> Iterator[dict[str, float]]:
    """Every mixture of values at, just below and just above whatever the
    expression compares with.
    """
    names = sorted(set(re.findall(r"dock_vault_(\w+)", expr)))
    numbers = {float(number) for number in re.findall(r"(?<![a-z_])-?\d+", expr)} | {0.0, 1.0, -1.0}
    values = sorted({number + step for number in numbers for step in (-1, -0.001, 0, 0.001, 1)})
    for mixture in itertools.product(values, repeat=len(names)):
        yield dict(zip(names, mixture, strict=True))


def test_an_expression_is_read_as_prometheus_reads_it() -> None:
    """`and` binds tighter than `or`, a product than a comparison."""
    figures = {"a": 1.0, "b": 0.0, "c": 5.0}
    assert Expression(
        "dock_vault_a == 1 or dock_vault_a == 1 and dock_vault_b == 1", figures
    ).holds()
    assert not Expression(
        "(dock_vault_a == 1 or dock_vault_a == 1) and dock_vault_b == 1", figures
    ).holds()
    assert Expression("dock_vault_c < 2 * dock_vault_c", figures).holds()
    assert not Expression("dock_vault_b == -1", figures).holds()


def test_the_file_and_the_vault_have_the_same_rules() -> None:
    assert list(written()) == [rule.name for rule in RULES]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_each_rule_is_the_one_in_the_file(rule: Rule) -> None:
    there = written()[rule.name]
    assert (rule.severity.value, rule.lasting.total_seconds()) == (there.severity, there.lasting_s)
    assert (rule.summary.en, rule.action.en) == (there.summary, there.action)
    verdicts = set()
    for figures in boundaries(there.expr):
        verdict = rule.holds(figures)
        assert verdict == Expression(there.expr, figures).holds(), figures
        verdicts.add(verdict)
    assert verdicts == {True, False}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_each_rule_says_what_to_do_in_both_languages(rule: Rule) -> None:
    for sentence in (rule.summary, rule.action):
        assert len(sentence.nl) > 20
        assert sentence.nl != sentence.en
        assert sentence.nl.endswith(".")
        assert sentence.en.endswith(".")


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_what_a_rule_asks_for_is_a_figure_of_the_vault(rule: Rule, here: Office) -> None:
    assert rule.holds({gauge.name: gauge.value for gauge in read_gauges(here.vault)}) is not None
    assert rule.holds({}) is None
