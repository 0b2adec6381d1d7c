"""Rows about clients as messages."""

from powerhouse.booking.v1 import client_pb2 as pb
from services.booking.models import Client
from services.booking.rpc.names import name_of
from services.chassis.rpc.codec import to_timestamp


def encode_client(client: Client, credits_left: int) -> pb.Client:
    return pb.Client(
        name=name_of(client.tenant_id, "clients", client.id),
        display_name=client.display_name,
        email=client.email or "",
        phone=client.phone or "",
        language=client.language,
        account=f"accounts/{client.account_id}" if client.account_id else "",
        credits_left=credits_left,
        etag=client.etag,
        create_time=to_timestamp(client.create_time),
        update_time=to_timestamp(client.update_time),
    )
