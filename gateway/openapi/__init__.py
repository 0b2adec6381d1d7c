"""The API described as OpenAPI 3.1, made at start-up from the descriptors that the routes come from, and its page."""
