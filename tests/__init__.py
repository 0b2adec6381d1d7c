"""All tests."""

import os

# Tests start programs from processes in which gRPC runs: its fork handlers wake threads in the child before its exec.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "false"
