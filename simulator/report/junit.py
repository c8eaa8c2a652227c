"""The answer of ``bindsim check`` as JUnit XML: a test case for the verdict, one for the apply, one for each lint."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final
from xml.etree import ElementTree

from simulator.preflight.result import BEFORE, ERROR, Finding, Preflight
from simulator.report.check import odds_text
from simulator.version import __version__

_CONTROL: Final = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot hold."""


def junit(found: Preflight) -> str:
    """The answer as JUnit XML.

    The verdict fails where it is not accepted, a lint where it finds an error in what is to be applied; its other
    findings stand in its output.
    """
    cases = [_verdict(found)]
    if found.changes:
        cases.append(_apply(found))
    by_lint: dict[str, list[Finding]] = {name: [] for name in found.lints}
    for each in found.findings:
        by_lint.setdefault(each.lint, []).append(each)
    cases.extend(_lint(name, found.lints.get(name, name), findings) for name, findings in by_lint.items())
    failures = sum(case.find("failure") is not None for case in cases)
    skipped = sum(case.find("skipped") is not None for case in cases)
    counts = {"tests": str(len(cases)), "failures": str(failures), "errors": "0", "skipped": str(skipped), "time": "0"}
    root = ElementTree.Element("testsuites", {"name": "bindsim check", **counts})
    suite = ElementTree.SubElement(root, "testsuite", {"name": _text(_subject(found)), **counts})
    properties = ElementTree.SubElement(suite, "properties")
    for name, value in (("bindsim", __version__), ("verdict", found.verdict), ("seed", str(found.seed)),
                        ("ties", found.ties)):
        ElementTree.SubElement(properties, "property", {"name": name, "value": _text(value)})
    suite.extend(cases)
    if found.troubles:
        said = "\n".join(f"{each.where}: {each.what}\n  {each.taken}" for each in found.troubles)
        ElementTree.SubElement(suite, "system-out").text = _text(f"Strange in the dump:\n{said}")
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _subject(found: Preflight) -> str:
    return ", ".join(found.manifests or found.cluster) or "check"


def _case(name: str, group: str) -> ElementTree.Element:
    return ElementTree.Element("testcase", {"name": _text(name), "classname": f"bindsim.check.{group}", "time": "0"})


def _verdict(found: Preflight) -> ElementTree.Element:
    case = _case("verdict", "verdict")
    lines = [f"{found.verdict}: {found.why}"]
    if found.odds is not None:
        lines.append(f"Odds of getting stuck: {odds_text(found.odds)}")
    lines.extend(found.reason)
    for repair in found.repairs:
        title = "Mended before anything is applied:" if repair.when == BEFORE else "Cheapest repair once it is stuck:"
        lines.extend([title, repair.text, *repair.commands])
    if found.is_accepted or found.verdict == "always converges":
        ElementTree.SubElement(case, "system-out").text = _text("\n".join(lines))
        return case
    failure = ElementTree.SubElement(case, "failure", {"message": _text(lines[0]), "type": _text(found.verdict)})
    failure.text = _text("\n".join(lines))
    return case


def _apply(found: Preflight) -> ElementTree.Element:
    case = _case("apply", "apply")
    if found.refused:
        lines = [f"{change.where}: {change.message}" for change in found.refused]
        failure = ElementTree.SubElement(case, "failure", {"message": _text(lines[0]), "type": "refused"})
        failure.text = _text("\n".join(lines))
    return case


def _lint(name: str, about: str, findings: Iterable[Finding]) -> ElementTree.Element:
    case = _case(name, "lint")
    findings = list(findings)
    if not findings:
        return case
    lines = [f"{each.severity}: {each.where}: {each.object}: {each.what}\n  {each.why}\n  Mend: {each.mend}"
             for each in findings]
    worst = next((each for each in findings if each.severity == ERROR and each.is_new), None)
    if worst is None:
        ElementTree.SubElement(case, "system-out").text = _text("\n".join(lines))
        return case
    failure = ElementTree.SubElement(
        case, "failure", {"message": _text(f"{worst.where}: {worst.object}: {worst.what}"), "type": _text(about)})
    failure.text = _text("\n".join(lines))
    return case


def _text(text: str) -> str:
    return _CONTROL.sub("\ufffd", text)
