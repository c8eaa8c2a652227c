"""The kubelets: pods on their nodes, volumes with contents, nodes that fail and come back."""

from simulator.controllers.kubelet.component import Kubelet
from simulator.controllers.kubelet.config import LATENCIES, RANGES, Behaviour, KubeletConfig, stand_in, start_steps_for
from simulator.controllers.kubelet.disks import ReadData, WipeData, WriteData
from simulator.controllers.kubelet.nodes import Behave, BreakNode, MendNode, StartNode, StopNode

__all__ = [
    "LATENCIES",
    "RANGES",
    "Behave",
    "Behaviour",
    "BreakNode",
    "Kubelet",
    "KubeletConfig",
    "MendNode",
    "ReadData",
    "StartNode",
    "StopNode",
    "WipeData",
    "WriteData",
    "stand_in",
    "start_steps_for",
]
