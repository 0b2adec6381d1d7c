"""HTTP/JSON to gRPC and back, driven by the `google.api.http` annotations of any set of service descriptors."""
