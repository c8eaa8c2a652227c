"""What the API server does to an object before it is stored: defaults, syntax, admission plugins, deletion and eviction."""
