"""The reference engine: the real Detectron2 through its public API (registries, configuration, solver)."""
