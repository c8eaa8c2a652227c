"""The controllers, one file or folder each: flows that look at what is there and say what should be done about it.

    statefulset          pods and claims of sets
    volume_binder        claims and volumes: claim_sync, volume_sync, reclaim, provisioning
    provisioner          external provisioners; local_provisioner: directories of nodes
    protection           finalizers of claims and volumes in use; expander: claims that grow
    kubelet              pods on their nodes, data on volumes, full disks
    node_lifecycle       nodes that fall silent, and their taints; taint_eviction, pod_gc: what becomes of their pods
    garbage_collector    dependents of what is gone; namespace: everything in one that is deleted
    disruption           budgets

Each is a component (`simulator.cluster.component`); `simulator.assembly` puts them together.
"""
