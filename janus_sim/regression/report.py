"""What a check found, as JUnit XML for test reporters and as a Markdown table for people."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

from janus_sim.files import write_whole
from janus_sim.regression.compare import Finding
from janus_sim.regression.rerun import Checked

HEADS = ("scenario", "number", "expected", "found", "change", "")


def cells(finding: Finding) -> list[str]:
    """Return the cells of a row: `HEADS`."""
    numbers = [_number(finding.expected), _number(finding.found)]
    known = not math.isnan(finding.change)
    change = f"{finding.change:+.2%}".replace("%", " %") if known and finding.change else ""
    verdict = finding.verdict.upper() if finding.fails else finding.verdict
    return [finding.scenario, finding.number, *numbers, change, verdict]


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.6g}"


def late(seconds: float) -> Checked:
    """Return the failure of a check that was not done in time."""
    words = f"stopped after --max-seconds {seconds:g}"
    return Checked("time", (Finding("all", "", math.nan, math.nan, "failed", True, words),), (), seconds)


def markdown(checks: Sequence[Checked]) -> str:
    """Return a Markdown report: what moved, and why; what did not is counted."""
    lines: list[str] = []
    for check in checks:
        moved = [finding for finding in check.findings if finding.verdict != "ok"]
        verdict = f"{len(check.failed)} failed" if check.failed else "passed"
        still = len(check.findings) - len(moved)
        lines += [
            f"### janus-sim check: {check.name}: {verdict}",
            "",
            f"{still} numbers are as expected.",
            "",
        ]
        if moved:
            lines += [_line(HEADS), _line(["---"] * len(HEADS)), *(_line(cells(one)) for one in moved), ""]
        lines += [f"> {text}\n" for text in check.explanations]
    return "\n".join(lines) + "\n"


def _line(words: Sequence[str]) -> str:
    return "| " + " | ".join(word.replace("|", "\\|").replace("\n", " ") for word in words) + " |"


def junit(checks: Sequence[Checked], path: Path) -> None:
    """Write JUnit XML: a suite a check, a test case a scenario."""
    root = ET.Element("testsuites", name="janus-sim check")
    for check in checks:
        names = list(dict.fromkeys(finding.scenario for finding in check.findings))
        failing = {finding.scenario for finding in check.failed}
        suite = ET.SubElement(
            root, "testsuite", name=check.name, tests=str(len(names)), failures=str(len(failing)), errors="0",
            skipped="0", time=f"{check.seconds:.3f}",
        )  # fmt: skip
        for name in names:
            found = [finding for finding in check.findings if finding.scenario == name]
            case = ET.SubElement(suite, "testcase", classname=check.name, name=name)
            bad = [finding for finding in found if finding.fails]
            if bad:
                why = [text for text in check.explanations if text.startswith(f"{name}: ")]
                failure = ET.SubElement(case, "failure", message=bad[0].told().splitlines()[0])
                failure.text = "\n".join([*(finding.told() for finding in bad), *why])
            notes = [finding.told() for finding in found if finding.verdict != "ok" and not finding.fails]
            if notes:
                ET.SubElement(case, "system-out").text = "\n".join(notes)
    ET.indent(root)
    write_whole(path, ET.tostring(root, encoding="utf-8", xml_declaration=True) + b"\n")
