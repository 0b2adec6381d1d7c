"""What `make run` adds and production leaves out: PostgreSQL, a broker, certificates, provider sandboxes, the supervisor."""
