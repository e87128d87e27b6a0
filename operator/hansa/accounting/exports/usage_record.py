"""Usage records for grid accounting: the XML that APEL loads (EMI's profile of OGF's usage record).

The format has no GPU; what is charged for goes into ``Charge`` and ``ServiceLevel``, and GPU time into
the ``ConsumableResource`` of the older record, which loaders that do not know it pass over.
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
    wall_s = (usage.end_ms - usage.start_ms) // 1000
    _texts(
        record,
        JobName=usage.job,
        Charge=amounts.text(usage.amount),
        Status="completed",
        WallDuration=f"PT{wall_s}S",
        CpuDuration=f"PT{usage.cpu_ms // 1000}S",
        StartTime=moment(usage.start_ms),
        EndTime=moment(usage.end_ms),
        MachineName=usage.node,
        SubmitHost=usage.node,
        Queue=usage.gpu_class or "cpu",
        Site=usage.provider,
        Processors=str(usage.gpus or 1),
        NodeCount="1",
    )
    infrastructure = {_name("type"): "grid", _name("description"): "Hansa"}
    ET.SubElement(record, _name("Infrastructure"), infrastructure)
    level = ET.SubElement(record, _name("ServiceLevel"), {_name("type"): "custom"})
    level.text = "1.0"
    if usage.gpus:
        resource = {_name("description"): f"{usage.gpu_class} GPU seconds"}
        gpu = ET.SubElement(record, _name("ConsumableResource"), resource)
        gpu.text = str(usage.gpu_ms // 1000)


def _texts(parent: ET.Element, **texts: str) -> None:
    for name, text in texts.items():
        if text:
            ET.SubElement(parent, _name(name)).text = text


def _name(local: str) -> str:
    return f"{{{NAMESPACE}}}{local}"
