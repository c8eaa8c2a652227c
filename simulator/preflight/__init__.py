"""Before you apply: the present cluster and the manifests about to be applied in; verdict, odds and lints out."""
