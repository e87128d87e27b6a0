"""Usage records for grid accounting: the XML that APEL loads (EMI's CAR 1.2, a profile of OGF's usage record).

The format has no GPU: what is charged for goes into ``Charge``, and GPU time into the ``ConsumableResource`` of the
older record (GFD.98), which loaders that do not know it pass over. ``ServiceLevel`` is mandatory, and APEL takes three
benchmarks only: nothing here was benchmarked, and the record says so.
"""

from __future__ import annotations

from collections.abc import Iterable
from xml.etree import ElementTree as ET

from hansa.accounting import amounts
from hansa.accounting.exports.tables import moment
from hansa.accounting.usage import Usage

NAMESPACE = "http://eu-emi.eu/namespaces/2012/11/computerecord"


def usage_records(usages: Iterable[Usage]) -> bytes:
    """Return usage records as XML, UTF-8."""
    root = ET.Element(_name("UsageRecords"))
    for usage in usages:
        _append(root, usage)
    ET.register_namespace("urf", NAMESPACE)
    ET.indent(root)
    made: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return made + b"\n"


def _append(root: ET.Element, usage: Usage) -> None:
    record = ET.SubElement(root, _name("UsageRecord"))
    identity = {"recordId": usage.receipt_digest, "createTime": moment(usage.end_ms)}
    ET.SubElement(record, _name("RecordIdentity"), {_name(k): v for k, v in identity.items()})
    job = ET.SubElement(record, _name("JobIdentity"))
    _texts(job, GlobalJobId=usage.job_uid, LocalJobId=f"{usage.job_uid}-e{usage.epoch}")
    user = ET.SubElement(record, _name("UserIdentity"))
    _texts(
        user, GlobalUserName=usage.institution, LocalUserId=usage.institution, Group=usage.project
    )
    wall_ms = usage.end_ms - usage.start_ms
    _texts(record, JobName=usage.job)
    _with(record, "Charge", amounts.text(usage.amount), unit=usage.currency)
    _texts(record, Status="completed", WallDuration=f"PT{wall_ms // 1000}S")
    _with(record, "CpuDuration", f"PT{usage.cpu_ms // 1000}S", usageType="all")
    _texts(
        record,
        StartTime=moment(usage.start_ms),
        EndTime=moment(usage.end_ms),
        MachineName=usage.node,
        SubmitHost=usage.node,
        Queue=usage.gpu_class or "cpu",
        Site=usage.provider,
        Processors=str(max(1, -(-usage.cpu_ms // wall_ms))),
        NodeCount="1",
    )
    _with(record, "Infrastructure", "", type="grid", description="Hansa")
    _with(record, "Middleware", "", name="hansa")
    _with(record, "ServiceLevel", "1.0", type="hepspec", description="not benchmarked")
    if usage.gpus:
        seconds = str(usage.gpu_ms // 1000)
        _with(record, "ConsumableResource", seconds, description=f"{usage.gpu_class} GPU seconds")


def _with(parent: ET.Element, element: str, text: str, /, **attributes: str) -> None:
    found = ET.SubElement(parent, _name(element), {_name(k): v for k, v in attributes.items()})
    found.text = text or None


def _texts(parent: ET.Element, **texts: str) -> None:
    for name, text in texts.items():
        if text:
            ET.SubElement(parent, _name(name)).text = text


def _name(local: str) -> str:
    return f"{{{NAMESPACE}}}{local}"
