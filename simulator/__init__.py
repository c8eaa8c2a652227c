"""bindsim: a discrete-event simulation of Kubernetes' stateful scheduling."""
