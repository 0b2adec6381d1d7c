"""Twins of the outside providers that run on this machine and speak the provider's own wire."""
