"""Defects of the transparency log: what would let it change, fork or vouch for too much."""

from tests.prove.defects.defect import product

LOG = {
    "a witness that lost its memory begins anew": product(
        "translog/witness/decision.py",
        "        raise refused(Fault.NO_MEMORY, text)\n    checkpoint",
        '        return Checkpoint(origin, 0, b""), 0\n    checkpoint',
        "unit/translog/witness/test_decision.py",
    ),
    "a witness that cosigns a smaller tree": product(
        "translog/witness/decision.py",
        "    if new.size < old.size:",
        "    if False:",
        "unit/translog/witness/test_decision.py",
    ),
    "a memory restored on its own word": product(
        "translog/witness/beginning.py",
        "judgement.cosigned_s.keys() - names",
        "judgement.cosigned_s.keys()",
        "unit/translog/witness/test_decision.py",
    ),
    "a cosignature that leaves before it is remembered": product(
        "member/witness/witness.py",
        "        await self._memory.advance(origin, memory, known)\n",
        "",
        "unit/member/witness/test_witness.py",
    ),
    "a log that grows is never witnessed": product(
        "ledger/receipts/witnesses.py",
        "if self._held is None or now_s - self._since_s > HELD_UP_S:",
        "if True:",
        "unit/ledger/receipts/logbook/test_witnesses.py",
    ),
    "a lie of one node is all nodes' trouble": product(
        "ledger/receipts/witnesses.py",
        "            except Terminal as error:\n                self._tell(one.node, str(error))\n                continue\n",
        "            except KeyError:\n                continue\n",
        "unit/ledger/receipts/logbook/test_witnesses.py",
    ),
    "a checkpoint before its files": product(
        "translog/log/appender.py",
        "            self._unwritten |= self._edge.partial()\n            self._flush()\n",
        "            self._unwritten |= self._edge.partial()\n",
        "unit/translog/log/test_appender.py",
    ),
    "a log put back from a backup goes on": product(
        "translog/log/appender.py",
        "if known > self._published:",
        "if False:",
        "unit/translog/log/test_appender.py",
    ),
    "a quorum of one less": product(
        "translog/quorum.py",
        ">= group.threshold:",
        ">= group.threshold - 1:",
        "unit/translog/test_policy.py",
    ),
    "an old state passed off as new": product(
        "translog/judgement.py",
        "if time_s < self.not_before_s:",
        "if False:",
        "unit/translog/test_proof.py",
    ),
}
