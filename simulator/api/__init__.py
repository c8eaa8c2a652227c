"""The Kubernetes objects that the simulation knows, field for field as Kubernetes names them."""
