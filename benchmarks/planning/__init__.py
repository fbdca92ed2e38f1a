"""Suites, inits and options come in; cells with their identity go out, before anything is trained."""
