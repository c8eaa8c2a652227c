"""The StatefulSet controller: pods with stable names and claims, made and replaced one by one (WL-17 to WL-99).

    controller   which sets to look at, and one sync of a set from its beginning      (stateful_set.go)
    adoption     which pods and revisions belong to the set                           (controller_ref_manager.go)
    revisions    the pod templates that the set has had                               (controller_history.go)
    control      the order of all that is done to pods: phases A to D                 (stateful_set_control.go)
    pod_control  one pod made, mended or deleted, with its claims and its events      (stateful_pod_control.go)
    pods, claims what pods and claims should look like, and whether they do: pure     (stateful_set_utils.go)
    status       what is reported back                                                (stateful_set_status_updater.go)

On the right, the file of Kubernetes' ``pkg/controller`` that does the same.
"""

from __future__ import annotations

from simulator.controllers.statefulset.controller import StatefulSetController
from simulator.controllers.statefulset.revisions import RevisionData, template_of

__all__ = ["RevisionData", "StatefulSetController", "template_of"]
