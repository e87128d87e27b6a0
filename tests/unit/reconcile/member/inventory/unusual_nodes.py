"""Node objects of rarer platforms, with what is right for each; ``node_objects`` has the usual ones.

Sources: the documentation of HAMi, AMD's node labeller, Intel's plugins, node feature discovery, Virtual Kubelet,
Liqo, EKS Fargate, and of makers of other accelerators.
"""

from __future__ import annotations

from tests.unit.reconcile.member.inventory.node_objects import (
    ARM,
    GPU,
    GPUS,
    Case,
    gfd,
    gke,
    mig,
    node,
)

NFD = "feature.node.kubernetes.io"
NO_ROW = "{} is in no row of the table of accelerators"
UNOFFERED = "label {} tells of a card, but no device plugin offers it"
AMD = {"amd.com/gpu.product-name": "AMD_Instinct_MI300X_OAM", "amd.com/gpu.vram": "192G"}
MI300 = "amd-instinct-mi300x-oam"
FLEX = {"gpu.intel.com/product": "Flex_170", "gpu.intel.com/device.count": "2"}
KARPENTER = {
    "karpenter.k8s.aws/instance-gpu-name": "t4",
    "karpenter.k8s.aws/instance-gpu-count": "1",
    "karpenter.k8s.aws/instance-gpu-memory": "16384",
}
MAX_Q = "NVIDIA-RTX-PRO-6000-Blackwell-Max-Q-Workstation"
ELSEWHERE = "it stands for machines elsewhere ({}), where no run is sent"


def _shares(name: str) -> frozenset[str]:
    return frozenset({name})


UNUSUAL: dict[str, Case] = {
    "HAMi: ten times each of two cards": Case(
        node(gfd("NVIDIA-A100-PCIE-40GB", "40960", 2), {GPU: "20"}),
        {"nvidia-a100-pcie-40gb-shared": (20, 4096)},
        slices=_shares("nvidia-a100-pcie-40gb-shared"),
        says="20 nvidia.com/gpu of 2 cards: each is a share of one",
    ),
    "NVIDIA, its cards cut unlike each other (MIG strategy single)": Case(
        # As discovery alone labels it, without the operator that adds gpu.present.
        node({"nvidia.com/gpu.product": "NVIDIA-A100-SXM4-40GB-MIG-INVALID"}, {GPU: "0"}),
        {},
        says=UNOFFERED.format("nvidia.com/gpu.product"),
    ),
    "NVIDIA, cards that the kubelet knows and does not hand out": Case(
        node(gfd("NVIDIA-L40S", "46068", 4), broken={GPU: "4"}),
        {},
        says="4 of 4 nvidia.com/gpu are not allocatable",
    ),
    "NVIDIA, more memory told than the card's name has": Case(
        node(gfd("NVIDIA-A100-PCIE-40GB", "81920", 2), GPUS[2]),
        {"nvidia-a100-pcie-40gb": (2, 0)},
        says="memory of nvidia-a100-pcie-40gb is unknown: nvidia.com/gpu.memory=81920 cannot be",
    ),
    "Intel, shared-dev-num": Case(
        node(FLEX, {"gpu.intel.com/i915": "20"}),
        {"intel-flex-170-shared": (20, 0)},
        slices=_shares("intel-flex-170-shared"),
        says="20 gpu.intel.com/i915 of 2 cards: each is a share of one; memory of intel-flex-170-shared is"
        " unknown: no row tells it",
    ),
    "AMD MI300X, whole, with its partition told": Case(
        node(AMD | {"amd.com/compute-memory-partition": "spx_nps1"}, {"amd.com/gpu": "8"}),
        {MI300: (8, 183105)},
    ),
    "AMD MI300X, cut into eight": Case(
        node(AMD | {"amd.com/compute-memory-partition": "cpx_nps4"}, {"amd.com/gpu": "64"}),
        {f"{MI300}-cpx-nps4": (64, 0)},
        slices=_shares(f"{MI300}-cpx-nps4"),
        says=f"memory of {MI300}-cpx-nps4 is unknown: amd.com/gpu.vram may be the whole card's",
    ),
    "AMD MI300X, partitions by name": Case(
        node(AMD, {"amd.com/cpx_nps1": "32", "amd.com/spx_nps1": "4"}),
        {},
        says=f"{NO_ROW.format('amd.com/cpx_nps1')}; {NO_ROW.format('amd.com/spx_nps1')}",
    ),
    "time-sliced beyond what the hub is told": Case(
        node(gfd("NVIDIA-A10-SHARED", "23028", 8, replicas="16", sharing_strategy="time-slicing"),
             {GPU: "128"}),
        {"nvidia-a10-shared": (64, 1439)},
        slices=_shares("nvidia-a10-shared"),
        says="128 nvidia.com/gpu are there, of which 64 are lent",
    ),
    "MIG, a profile without media engines": Case(
        node(gfd("NVIDIA-H200", "143771", 1) | mig("1g.18gb-me", "16384", 2, "NVIDIA-H200"),
             {"nvidia.com/mig-1g.18gb-me": "2"}),
        {"nvidia-h200-mig-1g-18gb-me": (2, 16384)},
        slices=_shares("nvidia-h200-mig-1g-18gb-me"),
    ),
    "MIG, strategy single, counted by cards": Case(
        node(gfd("NVIDIA-A100-SXM4-80GB-MIG-1g.10gb", "9728", 2), GPUS[14]),
        {"nvidia-a100-sxm4-80gb-mig-1g-10gb": (14, 9728)},
        slices=_shares("nvidia-a100-sxm4-80gb-mig-1g-10gb"),
    ),
    "GB200, arm64, one card of four cut": Case(
        node(gfd("NVIDIA-GB200", "189471", 4) | mig("1g.23gb", "23552", 7, "NVIDIA-GB200"),
             {GPU: "3", "nvidia.com/mig-1g.23gb": "7"}, arch="arm64"),
        {"nvidia-gb200": (3, 189471), "nvidia-gb200-mig-1g-23gb": (7, 23552)},
        slices=_shares("nvidia-gb200-mig-1g-23gb"),
        usable=False,
        says=ARM,
    ),
    "a vGPU in a virtual machine": Case(
        node(gfd("GRID-A100D-20C", "20480", 1) | {"nvidia.com/vgpu.present": "true"}, GPUS[1]),
        {"nvidia-grid-a100d-20c": (1, 20480)},
    ),
    "memory as nvidia-smi writes it": Case(
        node(gfd("NVIDIA-H100-80GB-HBM3", "81559MiB", 8), GPUS[8]),
        {"nvidia-h100-80gb-hbm3": (8, 81559)},
    ),
    "B200 on GKE": Case(node(gke("nvidia-b200"), GPUS[8]), {"nvidia-b200": (8, 171661)}),
    "half-broken: the driver is gone, and the plugin offers none": Case(
        node(gfd("NVIDIA-L40S", "46068", 8), {GPU: "0"}),
        {},
        says=UNOFFERED.format("nvidia.com/gpu.present"),
    ),
    "AMD, found by discovery alone": Case(
        node({f"{NFD}/amd-gpu": "true"}), {}, says=UNOFFERED.format(f"{NFD}/amd-gpu")
    ),
    "Intel, found by discovery alone": Case(
        node({"intel.feature.node.kubernetes.io/gpu": "true"}),
        {},
        says=UNOFFERED.format("intel.feature.node.kubernetes.io/gpu"),
    ),
    "Gaudi, found by discovery alone": Case(
        node({f"{NFD}/pci-1200_1da3.present": "true"}),
        {},
        says=UNOFFERED.format(f"{NFD}/pci-1200_1da3.present"),
    ),
    "a server's own screen": Case(node({f"{NFD}/pci-0300_102b.present": "true"}), {}),
    "AMD MI300X, cut into eight, and its labeller does not say so": Case(
        node(AMD, {"amd.com/gpu": "64"}),
        {f"{MI300}-shared": (64, 0)},
        slices=_shares(f"{MI300}-shared"),
        says="64 amd.com/gpu are more than a machine has cards: each is a share of one;"
        f" memory of {MI300}-shared is unknown: amd.com/gpu.vram may be the whole card's",
    ),
    "EKS, Auto Mode": Case(
        node({"eks.amazonaws.com/compute-type": "auto",
              "eks.amazonaws.com/instance-gpu-manufacturer": "nvidia",
              "eks.amazonaws.com/instance-gpu-name": "l4",
              "eks.amazonaws.com/instance-gpu-count": "4",
              "eks.amazonaws.com/instance-gpu-memory": "22888"}, GPUS[4],
             taints=("nvidia.com/gpu:NoSchedule",)),
        {"nvidia-l4": (4, 22888)},
    ),
    "EKS with Karpenter, time-sliced without discovery": Case(
        node(KARPENTER, GPUS[4]),
        {"nvidia-t4-shared": (4, 4096)},
        slices=_shares("nvidia-t4-shared"),
        says="4 nvidia.com/gpu of 1 cards: each is a share of one",
    ),
    "AKS, nodes provisioned by Karpenter": Case(
        node({"karpenter.azure.com/sku-gpu-name": "A100",
              "karpenter.azure.com/sku-gpu-manufacturer": "nvidia",
              "karpenter.azure.com/sku-gpu-count": "2"}, GPUS[2]),
        {"nvidia-a100": (2, 0)},
        says="memory of nvidia-a100 is unknown: no row tells it",
    ),
    "DigitalOcean": Case(
        node({"doks.digitalocean.com/gpu-brand": "nvidia", "doks.digitalocean.com/gpu-model": "h100"},
             GPUS[8], taints=("nvidia.com/gpu:NoSchedule",)),
        {"nvidia-h100": (8, 0)},
        says="memory of nvidia-h100 is unknown: no row tells it",
    ),
    "DigitalOcean, AMD": Case(
        node({"doks.digitalocean.com/gpu-brand": "amd", "doks.digitalocean.com/gpu-model": "mi300x"},
             {"amd.com/gpu": "8"}, taints=("amd.com/gpu:NoSchedule",)),
        {"amd-mi300x": (8, 0)},
        says="memory of amd-mi300x is unknown: no row tells it",
    ),
    "network cards of NVIDIA's Network Operator": Case(
        node({}, {"nvidia.com/hostdev": "8", "nvidia.com/rdma_shared_device_a": "63",
                  "nvidia.com/sriovib_rdma": "4", "nvidia.com/mlnxnics": "8",
                  "nvidia.com/cx7_vf": "8", "nvidia.com/bf3_sf": "8", "nvidia.com/roce_gdr": "1"}),
        {},
    ),
    "an autoscaler takes it away": Case(
        node(gfd("NVIDIA-L40S", "46068", 1), GPUS[1],
             taints=("ToBeDeletedByClusterAutoscaler=1764590000:NoSchedule",)),
        {"nvidia-l40s": (1, 46068)},
        usable=False,
    ),
    "Karpenter takes it away": Case(
        node(taints=("karpenter.sh/disrupted:NoSchedule",)), {}, usable=False
    ),
    "spot machines, kept for somebody": Case(
        node(taints=("karpenter.sh/capacity-type=spot:NoSchedule",)),
        {},
        usable=False,
        says="no run tolerates its taint karpenter.sh/capacity-type=spot:NoSchedule",
    ),
    "its cloud has not told of it yet": Case(
        node(taints=("node.cloudprovider.kubernetes.io/uninitialized=true:NoSchedule",)),
        {},
        usable=False,
    ),
    "a long name, cut and shared": Case(
        node(mig("1g.24gb.gfx", "24192", 2, MAX_Q)
             | {"nvidia.com/mig-1g.24gb.gfx.replicas": "2",
                "nvidia.com/mig-1g.24gb.gfx.sharing-strategy": "time-slicing"},
             {"nvidia.com/mig-1g.24gb.gfx.shared": "4"}),
        {"nvidia-rtx-pro-6000-blackwell-max-q-work-mig-1g-24gb-gfx-shared": (4, 12096)},
        slices=_shares("nvidia-rtx-pro-6000-blackwell-max-q-work-mig-1g-24gb-gfx-shared"),
    ),
    "a virtual kubelet": Case(
        node({"type": "virtual-kubelet"}, cpu="10000", memory="4Ti"),
        {},
        usable=False,
        says=ELSEWHERE.format("type=virtual-kubelet"),
    ),
    "another cluster, by Liqo": Case(
        node({"liqo.io/type": "virtual-node"}),
        {},
        usable=False,
        says=ELSEWHERE.format("liqo.io/type=virtual-node"),
    ),
    "s390x with Spyre": Case(
        node({}, {"ibm.com/spyre_pf": "8"}, arch="s390x"),
        {},
        usable=False,
        says="its architecture is s390x, runs are for amd64; " + NO_ROW.format("ibm.com/spyre_pf"),
    ),
    **{
        f"{maker}'s accelerator": Case(node({}, {resource: "8"}), {}, says=NO_ROW.format(resource))
        for maker, resource in {
            "Habana": "habana.ai/gaudi",
            "Google": "google.com/tpu",
            "Graphcore": "graphcore.ai/ipu",
            "Enflame": "enflame.com/gcu",
            "Hygon": "hygon.com/dcunum",
            "Tencent": "tencent.com/vcuda-core",
            "Qualcomm": "qualcomm.com/qaic",
            "SambaNova": "sambanova.ai/rdu",
            "Cerebras": "cerebras.net/wse",
            "T-Head": "alibabacloud.com/ppu",
            "Vastai": "vastaitech.com/va",
        }.items()
    },
    "what only sounds like one": Case(
        node({}, {"example.com/input": "4", "rdma/ib": "1", "vpc.amazonaws.com/efa": "32"}), {}
    ),
}  # fmt: skip
