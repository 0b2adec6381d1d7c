"""Generates `gen/` from `protos/`: messages, gRPC stubs, type stubs and one image of descriptors.

Run as `python protos/generate.py` (`make protos`). Does nothing when neither the contracts nor the tools have changed.
`gen/image.binpb` holds every contract with its comments and imports: buf lints it and OpenAPI is made from it.
"""

import hashlib
import os
import sys
import sysconfig
import tempfile
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROTOS = ROOT / "protos"
GEN = ROOT / "gen"
TOOLS = ("grpcio-tools", "mypy-protobuf", "protobuf", "protovalidate")


def main() -> int:
    """Brings `gen/` up to date; returns the exit code of the first protoc run that fails."""
    sources = sorted(str(path.relative_to(PROTOS)) for path in (PROTOS / "powerhouse").rglob("*.proto"))
    stamp = _stamp(sources)
    stamp_file = GEN / ".stamp"
    if stamp_file.is_file() and stamp_file.read_text() == stamp:
        return 0
    with tempfile.TemporaryDirectory(prefix=".gen-", dir=ROOT) as folder:
        fresh = Path(folder) / "gen"
        fresh.mkdir()
        status = _generate(sources, fresh)
        if status:
            return status
        (fresh / ".stamp").write_text(stamp)
        if GEN.exists():
            GEN.rename(Path(folder) / "old")
        fresh.rename(GEN)
    print(f"generated {len(sources)} contracts into gen/")
    return 0


def _stamp(sources: Iterable[str]) -> str:
    digest = hashlib.sha256(Path(__file__).read_bytes())
    for tool in TOOLS:
        digest.update(f"{tool}={version(tool)}\n".encode())
    for source in sources:
        digest.update(f"{source}\n".encode() + (PROTOS / source).read_bytes())
    return digest.hexdigest()


def _generate(sources: list[str], target: Path) -> int:
    from grpc_tools import protoc

    validate = target.parent / "validate.binpb"
    validate.write_bytes(_validate_descriptors())
    site_packages = sysconfig.get_path("purelib")
    include = [
        f"-I{PROTOS}",
        f"-I{site_packages}",
        f"-I{Path(protoc.__file__).parent / '_proto'}",
    ]
    programs = Path(sysconfig.get_path("scripts"))
    common = ["protoc", f"--descriptor_set_in={validate}", *include]
    messages = [f"--python_out={target}", f"--mypy_out=quiet:{target}"]
    services = [f"--grpc_python_out={target}", f"--mypy_grpc_out=quiet:{target}"]
    plugins = [f"--plugin={name}={programs / name}" for name in ("protoc-gen-mypy", "protoc-gen-mypy_grpc")]
    image = [
        f"--descriptor_set_out={target / 'image.binpb'}",
        "--include_imports",
        "--include_source_info",
    ]
    with_rpcs = [source for source in sources if "\nservice " in (PROTOS / source).read_text()]
    runs = [
        [*common, *plugins, *messages, *image, *sources],
        [*common, *plugins, *services, *with_rpcs],
        [
            "protoc",
            f"--descriptor_set_in={validate}",
            *plugins,
            *messages,
            "buf/validate/validate.proto",
        ],
    ]
    return next((status for run in runs if (status := protoc.main(run))), 0)


def _validate_descriptors() -> bytes:
    """`buf/validate/validate.proto` and what it imports, as protovalidate's wheel carries it: no network."""
    from google.protobuf import (
        descriptor_pb2,
        duration_pb2,
        field_mask_pb2,
        timestamp_pb2,
    )
    from protovalidate._gen.buf.validate import (
        validate_pb,
    )  # the wheel ships no other form of it

    files = descriptor_pb2.FileDescriptorSet()
    for module in (descriptor_pb2, duration_pb2, field_mask_pb2, timestamp_pb2):
        module.DESCRIPTOR.CopyToProto(files.file.add())
    files.file.add().ParseFromString(validate_pb.desc().proto.to_binary())
    return files.SerializeToString()


if __name__ == "__main__":
    os.umask(0o022)
    sys.exit(main())
