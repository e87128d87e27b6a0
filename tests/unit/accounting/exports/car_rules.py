"""Rules of EMI's Computing Accounting Record 1.2 (the profile of OGF's usage record that grid accounting loads).

The schema itself is not published any more. What is mandatory, and which values are taken, is what the two that write and
load it hold to: NorduGrid ARC's accounting (``ComputeAccountingRecord``, which says of each element whether it is
mandatory) and APEL's loader (``CarParser``, ``JobRecord``). Elements come in any order: those two write different ones.
``Charge`` and ``ConsumableResource`` are of the usage record that CAR extends (OGF GFD.98).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree import ElementTree as ET

NAMESPACE = "http://eu-emi.eu/namespaces/2012/11/computerecord"
MANDATORY = (
    *("RecordIdentity", "JobIdentity", "UserIdentity", "Status", "WallDuration", "CpuDuration"),
    *("StartTime", "EndTime", "MachineName", "SubmitHost", "Queue", "Site", "Infrastructure"),
    *("Middleware", "ServiceLevel"),
)
OPTIONAL = (
    *("JobName", "Charge", "ExitStatus", "Host", "Memory", "Swap", "NodeCount", "Processors"),
    *("TimeInstant", "ConsumableResource"),
)
INSIDE = {
    "JobIdentity": (("GlobalJobId", "LocalJobId"), ("ProcessId",)),
    "UserIdentity": (
        ("LocalUserId",),
        ("GlobalUserName", "LocalGroup", "Group", "GroupAttribute"),
    ),
}
"""Element → its mandatory and optional parts."""
ATTRIBUTES = {
    "RecordIdentity": ("recordId", "createTime"),
    "CpuDuration": ("usageType",),
    "Infrastructure": ("type",),
    "Middleware": ("name",),
    "ServiceLevel": ("type",),
}
SERVICE_LEVELS = frozenset({"si2k", "hepspec", "hepscore23"})
"""APEL's ``JobRecord`` refuses any other."""
TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
DURATION = re.compile(r"PT[0-9]+S")
WHOLE = re.compile(r"[1-9][0-9]*")
FORMS = {
    **dict.fromkeys(("StartTime", "EndTime"), TIME),
    **dict.fromkeys(("WallDuration", "CpuDuration"), DURATION),
    **dict.fromkeys(("Processors", "NodeCount"), WHOLE),
}


def violations(document: bytes) -> Iterator[str]:
    """Yield in what a document departs from the rules."""
    root = ET.fromstring(document)
    if root.tag != _name("UsageRecords"):
        yield f"the root is {root.tag}"
    seen: set[str] = set()
    for record in root:
        if record.tag != _name("UsageRecord"):
            yield f"{record.tag} among the records"
            continue
        yield from _record(record)
        identity = record.find(_name("RecordIdentity"))
        name = "" if identity is None else identity.get(_name("recordId"), "")
        if name in seen:
            yield f"two records are {name}"
        seen.add(name)


def _record(record: ET.Element) -> Iterator[str]:
    yield from _parts(record, MANDATORY, OPTIONAL)
    for name, (mandatory, optional) in INSIDE.items():
        for part in record.findall(_name(name)):
            yield from _parts(part, mandatory, optional)
    for name, attributes in ATTRIBUTES.items():
        for part in record.findall(_name(name)):
            yield from (f"{name} has no {one}" for one in attributes if not part.get(_name(one)))
    for name, form in FORMS.items():
        for part in record.findall(_name(name)):
            if not form.fullmatch(part.text or ""):
                yield f"{name} is {part.text!r}"
    level = record.find(_name("ServiceLevel"))
    if level is not None and level.get(_name("type"), "").lower() not in SERVICE_LEVELS:
        yield f"ServiceLevel is by {level.get(_name('type'))}"
    start, end = (record.findtext(_name(name), "") for name in ("StartTime", "EndTime"))
    if not start <= end:
        yield f"it ends at {end}, and starts at {start}"


def _parts(
    element: ET.Element, mandatory: tuple[str, ...], optional: tuple[str, ...]
) -> Iterator[str]:
    found = [child.tag for child in element]
    for name in mandatory:
        empty = (
            one for one in element.findall(_name(name)) if not (len(one) or one.text or one.attrib)
        )
        yield from (f"{name} is empty" for _ in empty)
        if found.count(_name(name)) != 1:
            yield f"{name} stands there {found.count(_name(name))} times"
    known = {*map(_name, mandatory), *map(_name, optional)}
    yield from (f"{tag} is unknown" for tag in found if tag not in known)


def _name(local: str) -> str:
    return f"{{{NAMESPACE}}}{local}"
