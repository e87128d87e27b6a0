"""Defects that show when something goes wrong between a program and its API server."""

from __future__ import annotations

from collections.abc import Mapping

from tests.prove.defects.defect import Defect, product

REFLECTOR = "adapters/kube/reflector.py"

LINE: Mapping[str, Defect] = {
    "not listed again after 410": product(
        REFLECTOR,
        'version = version if isinstance(error, Retryable) else ""',
        "version = version or str(error)",
        "unit/adapters/kube/test_reflector.py",
        plan="ambiguous 410 to hub>hub watch /apis/hansa.dev/v1alpha1/aijobs",
    ),
    "never listed again": product(
        REFLECTOR,
        "pause_s = self._pace.relist_s * ",
        "pause_s = 1e9 * self._pace.relist_s * ",
        "unit/adapters/kube/test_reflector.py",
        plan="unobserved hub>hub ADDED /apis/hansa.dev/v1alpha1/aijobs #1",
    ),
    "what a lost answer made stands in the way": product(
        "member/runs/run_objects.py",
        "        except Conflict:\n            return None\n        except Terminal",
        "        except Terminal",
        "unit/member/runs/test_order_of_writes.py",
    ),
    "a watch that waits for ever": product(
        "adapters/kube/client.py",
        "sock_read=watch_inactivity_s",
        "sock_read=None",
        "unit/adapters/kube/test_reflector.py",
    ),
}
