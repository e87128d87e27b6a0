"""What the hub makes of a SovereignNode: the planner's ``Site``, and whether it takes work.

The spec is the league's; the status is the member's word, untrusted: it is validated, bounded, and
can only ever make the node less available.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import ValidationError

from hansa.accounting.tariff import Tariff
from hansa.api.residency import PlaceRule, Residency
from hansa.api.sovereignnode import AssuranceWord, SovereignNodeSpec, SovereignNodeStatus
from hansa.api.texts import first_fault
from hansa.grants.envelope import key_id
from hansa.model.quantities import millis, units
from hansa.model.reasons import Reason
from hansa.model.snapshot import Machines, PlaceSet, ResidencyRule, Site
from hansa.model.times import from_rfc3339
from hansa.receipts.envelope import Keys
from hansa.reconcile.grant_formats import outdated
from hansa.reconcile.hub.charging.tariffs import prices_at, tariff_faults, tariff_of
from hansa.reconcile.interning import Derived
from hansa.verification.course.signed_words import read_word

MICROS = 1_000_000


@dataclass(frozen=True, slots=True)
class ParsedNode:
    """A SovereignNode, read once a resourceVersion."""

    name: str
    uid: str
    generation: int
    accepted: str
    site: Site
    """Without availability, which also depends on the time."""
    faults: tuple[tuple[Reason, str], ...]
    """Why it takes no work, whatever the time is."""
    release_key: str = ""
    """Raw public key, base64, as the league's admin pinned it; empty: none."""
    identity_key: str = ""
    """Where its tokens are sealed to, as pinned; empty: none."""
    pinned: frozenset[str] = frozenset()
    """Data sets that the league's admin pinned to it."""
    tariff: Tariff | None = None
    """Its prices, with past and coming ones; None where its spec cannot be read."""
    bound: int = 0
    """The most assurance that the league lets it count for."""
    word: AssuranceWord | None = None
    """What it has shown, in words that are believed; None: nothing."""

    @property
    def audience(self) -> str:
        """Whom a grant is addressed to; empty while no key is pinned."""
        return key_id(base64.b64decode(self.release_key)) if self.release_key else ""


@dataclass(frozen=True, slots=True)
class NodeLimits:
    """The hub's settings that decide about nodes."""

    lease_grace_s: float
    currency: str
    word_keys: Keys | None = None
    """Key id → public key of who says what nodes have shown. None: no key is known, and what the API
    server shows is taken as it is: for those who look on, never for those who place work."""


@dataclass(frozen=True, slots=True)
class NodeView:
    """A node at one instant."""

    parsed: ParsedNode
    site: Site
    heartbeat_s: float | None
    """Last Lease renewal; None: never."""

    @property
    def name(self) -> str:
        """Name of the SovereignNode."""
        return self.parsed.name


def parse_node(manifest: Mapping[str, Any], limits: NodeLimits) -> ParsedNode:
    """Read a SovereignNode; never raises, whatever the member wrote into its status."""
    meta = manifest["metadata"]
    try:
        spec = SovereignNodeSpec.model_validate(manifest.get("spec", {}))
    except ValidationError as error:
        text = f"the SovereignNode's spec is not valid: {first_fault(error)}"
        site = Site(meta["name"], "", "", "", frozenset())
        wire = manifest.get("spec")
        accepted = wire.get("accepted") if isinstance(wire, dict) else None
        return ParsedNode(
            meta["name"],
            meta["uid"],
            meta.get("generation", 0),
            accepted if isinstance(accepted, str) else "Pending",
            site,
            ((Reason.MISCONFIGURED, text),),
        )
    status, trouble = _read_status(manifest.get("status") or {})
    faults = [(Reason.NODE_NOT_READY, trouble)] if trouble else []
    tariff = tariff_of(meta["name"], spec)
    faults += [(Reason.MISCONFIGURED, text) for text in tariff_faults(tariff)]
    faults += [
        *_key_faults(spec, status),
        *_spec_faults(spec, limits),
        *_dispute(spec, status),
        *_status_faults(status),
    ]
    return ParsedNode(
        name=meta["name"],
        uid=meta["uid"],
        generation=meta.get("generation", 0),
        accepted=spec.accepted,
        site=_site(meta["name"], spec, status),
        faults=tuple(faults),
        release_key=spec.release_key or "",
        identity_key=spec.identity_key or "",
        pinned=frozenset(spec.datasets),
        tariff=tariff,
        bound=int(spec.assurance[1:]),
        word=_word(spec, (manifest.get("status") or {}).get("assurance"), limits.word_keys),
    )


def view_node(
    node: ParsedNode, heartbeat_s: float | None, now_s: float, limits: NodeLimits
) -> NodeView:
    """Add what time tells: a node that does not renew its Lease takes no new work."""
    faults = list(node.faults)
    if heartbeat_s is None:
        faults.append((Reason.NODE_UNREACHABLE, "its agent has never renewed its Lease"))
    elif now_s - heartbeat_s > limits.lease_grace_s:
        text = f"its agent has not renewed its Lease for more than {limits.lease_grace_s:.0f} s"
        faults.append((Reason.NODE_UNREACHABLE, text))
    site = _assured(priced(node, now_s), node, now_s)
    if not faults:
        return NodeView(node, site, heartbeat_s)
    reason, message = min(faults, key=lambda fault: fault[0].gravity)
    site = replace(site, unavailable=reason, unavailable_message=message)
    return NodeView(node, site, heartbeat_s)


def _word(spec: SovereignNodeSpec, wire: object, keys: Keys | None) -> AssuranceWord | None:
    """Return what is believed of a node's level: its own agent may write where it stands."""
    if wire is None or spec.release_key is None:
        return None
    node_key = key_id(base64.b64decode(spec.release_key))
    if keys is not None:
        said = read_word(wire, AssuranceWord, node_key=node_key, keys=keys)
        return said if isinstance(said, AssuranceWord) else None
    try:
        seen = AssuranceWord.model_validate(wire)
    except ValidationError:
        return None
    return seen if seen.node_key == node_key else None


def _assured(site: Site, node: ParsedNode, now_s: float) -> Site:
    """Return the site at the level that counts now: what was shown grows old by itself."""
    word = node.word
    if word is None or now_s >= (from_rfc3339(word.until) or 0.0):
        return site
    level = min(node.bound, int(word.level[1:]))
    return replace(site, assurance=level) if level else site


def priced(node: ParsedNode, at_s: float) -> Site:
    """Return the node's site at the prices that are valid at a moment, in seconds since the Unix epoch."""
    prices = prices_at(node.tariff, at_s) if node.tariff else {}
    if prices == node.site.gpu_hour_price:
        return node.site
    # The same value as before until it changes: it is asked for, and compared, all the time.
    known = _PRICED.of(node)
    if not known or known[-1].gpu_hour_price != prices:
        known[:] = [replace(node.site, gpu_hour_price=prices)]
    return known[-1]


_PRICED: Derived[ParsedNode, list[Site]] = Derived(lambda _: [])
"""Node → its site at the prices that were asked for last."""


def pins(nodes: Iterable[ParsedNode]) -> dict[str, frozenset[str]]:
    """Return data set → nodes it is pinned to, accepted or not: a pin does not lapse by itself."""
    found: dict[str, frozenset[str]] = {}
    for node in nodes:
        for name in node.pinned:
            found[name] = found.get(name, frozenset()) | {node.name}
    return found


def believed(view: NodeView, pinned: Mapping[str, frozenset[str]]) -> NodeView:
    """Strike what a node announces of data sets that the league's admin pinned to others."""
    site, name = view.site, view.name
    struck = sorted(d for d in site.datasets if name not in pinned.get(d, (name,)))
    if not struck:
        return view
    why = "the league's admin pinned {0} to {1}, and {2} announces it: that is not believed"
    site = replace(
        site,
        datasets={d: place for d, place in site.datasets.items() if d not in struck},
        dataset_rules={d: rule for d, rule in site.dataset_rules.items() if d not in struck},
        disbelieved={d: why.format(d, ", ".join(sorted(pinned[d])), name) for d in struck},
    )
    return replace(view, site=site)


def disputed(node: ParsedNode) -> str:
    """Return how the two statements of jurisdiction differ; empty when they agree."""
    return next((text for why, text in node.faults if why is Reason.JURISDICTION_DISPUTED), "")


def is_point(key: str) -> bool:
    """Tell whether a text is a P-256 public key as ``spec.identityKey`` has it."""
    try:
        point = base64.b64decode(key, validate=True)
        ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    except ValueError:
        return False
    return True


def place_set(rule: PlaceRule) -> PlaceSet:
    """Return a wire rule as the planner's value."""
    return PlaceSet(frozenset(rule.allow), frozenset(rule.deny))


def residency_rule(residency: Residency) -> ResidencyRule:
    """Return a wire residency as the planner's value."""
    return _RULES.of(residency)


def _residency_rule(residency: Residency) -> ResidencyRule:
    return ResidencyRule(place_set(residency.location), place_set(residency.legal_control))


_RULES = Derived(_residency_rule)


def micros(decimal: str) -> int:
    """Return an amount in millionths.

    >>> micros("0.35")
    350000
    """
    return int(Decimal(decimal) * MICROS)


def _read_status(wire: Mapping[str, Any]) -> tuple[SovereignNodeStatus, str]:
    try:
        status = SovereignNodeStatus.model_validate(wire)
        return status, outdated(status)
    except ValidationError as error:
        text = f"its agent reports a malformed status ({first_fault(error)}); upgrade the agent"
        return SovereignNodeStatus(), text


def _spec_faults(spec: SovereignNodeSpec, limits: NodeLimits) -> Iterator[tuple[Reason, str]]:
    if spec.accepted != "Accepted":
        yield Reason.NODE_NOT_ACCEPTED, f"the league's decision on it is {spec.accepted}"
    if spec.currency != limits.currency:
        text = f"it is priced in {spec.currency}, the league counts in {limits.currency}"
        yield Reason.MISCONFIGURED, text
    if spec.scheduling != "Open":
        yield Reason.NODE_CORDONED, f"it is {spec.scheduling.lower()} by the league's admin"


def _key_faults(
    spec: SovereignNodeSpec, status: SovereignNodeStatus
) -> Iterator[tuple[Reason, str]]:
    """Say what keeps it from joining, a grant from being addressed, or its release from being believed."""
    if spec.identity_key is not None and not is_point(spec.identity_key):
        text = "spec.identityKey is no P-256 key; run `hansa accept` as `hansa join` printed it"
        yield Reason.NODE_NOT_ACCEPTED, text
    if spec.release_key is None and spec.accepted == "Accepted":
        text = "spec.releaseKey is not pinned; run `hansa accept` as `hansa join` printed it"
        yield Reason.NODE_NOT_ACCEPTED, text
    elif status.release_key not in {None, spec.release_key}:
        text = "its agent signs with another key than spec.releaseKey pins; if it has joined anew,"
        yield Reason.NODE_NOT_READY, f"{text} run `hansa accept --replace` with the key it printed"


def _dispute(spec: SovereignNodeSpec, status: SovereignNodeStatus) -> Iterator[tuple[Reason, str]]:
    declared = status.declared_jurisdiction
    if declared is None or not status.declared_legal_control:
        yield (
            Reason.JURISDICTION_DISPUTED,
            "its MemberPolicy has not declared jurisdiction and legal control yet",
        )
    elif declared != spec.jurisdiction:
        text = f"the league says it stands in {spec.jurisdiction}, its own policy says {declared}"
        yield Reason.JURISDICTION_DISPUTED, text
    elif set(status.declared_legal_control) != set(spec.legal_control):
        ours, theirs = sorted(spec.legal_control), sorted(status.declared_legal_control)
        text = f"the league says the law of {', '.join(ours)} reaches it"
        yield Reason.JURISDICTION_DISPUTED, f"{text}, its own policy says {', '.join(theirs)}"


def _status_faults(status: SovereignNodeStatus) -> Iterator[tuple[Reason, str]]:
    if status.switch in ("Paused", "Stopped"):
        yield Reason.NODE_PAUSED, f"the institution's switch is {status.switch}"
    for condition in status.member_conditions:
        if condition.status == "False":
            said = condition.message or condition.reason
            yield Reason.NODE_NOT_READY, f"{condition.type} is False: {said}"


def _site(name: str, spec: SovereignNodeSpec, status: SovereignNodeStatus) -> Site:
    return Site(
        name=name,
        institution=spec.institution,
        operator=spec.operator or spec.institution,
        jurisdiction=spec.jurisdiction,
        legal_control=frozenset(spec.legal_control),
        machines=tuple(
            Machines(
                count=shape.machines,
                gpus=shape.gpus,
                gpu_class=shape.gpu_class,
                gpu_memory_bytes=units(shape.gpu_memory or "0"),
                cpu_millis=millis(shape.cpu),
                memory_bytes=units(shape.memory),
            )
            for shape in status.shapes
        ),
        lent_gpus={item.gpu_class: item.total for item in status.inventory},
        cpu_hour_price=micros(spec.cpu_hour_price),
        datasets={notice.name: notice.jurisdiction for notice in status.datasets},
        dataset_rules={notice.name: residency_rule(notice.residency) for notice in status.datasets},
        draining=spec.scheduling == "Draining",
        policy_generation=status.policy_generation,
    )


def is_silent(node: NodeView | None) -> bool:
    """Tell whether a node has not renewed its Lease in time."""
    return node is not None and node.site.unavailable is Reason.NODE_UNREACHABLE
