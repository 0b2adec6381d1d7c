"""The HTTP face of the mesh: transcodes `google.api.http`, keeps browser sessions, holds no data and no rules."""
