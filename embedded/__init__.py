"""What `make run` adds and production leaves out: databases, broker, certificates, sandboxes, the supervisor."""
