"""Compiles a proto file into a descriptor pool of its own, so that tests can use contracts beside ours."""

import tempfile
from importlib import resources
from pathlib import Path

import google.api
from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.descriptor import FileDescriptor
from grpc_tools import protoc


def compile_proto(path: Path) -> FileDescriptor:
    """The file's descriptor; messages of its pool do not mix with the generated ones."""
    own_protos = Path(__file__).parents[2] / "protos"
    google_protos = Path(next(iter(google.api.__path__))).parent.parent
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder) / "image.binpb"
        includes = [path.parent, own_protos, google_protos, resources.files("grpc_tools") / "_proto"]
        command = ["protoc", *(f"-I{include}" for include in includes), "--include_imports", f"-o{image}", str(path)]
        if protoc.main(command):
            raise ValueError(f"{path.name} does not compile")
        files = descriptor_pb2.FileDescriptorSet.FromString(image.read_bytes()).file
    pool = descriptor_pool.DescriptorPool()
    for file in files:
        pool.Add(file)
    return pool.FindFileByName(path.name)
