"""A studio with one client, at real booking and notify services."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from powerhouse.booking.v1 import client_pb2, client_service_pb2
from powerhouse.booking.v1.client_service_pb2_grpc import ClientServiceStub
from powerhouse.notify.v1 import (
    delivery_report_service_pb2_grpc,
    notify_service_pb2_grpc,
    preference_service_pb2_grpc,
    sender_service_pb2_grpc,
    template_service_pb2_grpc,
)
from powerhouse.notify.v1 import preference_service_pb2 as pb
from powerhouse.policy.v1.policy_pb2 import Role
from services.chassis.clock import real_now
from services.chassis.ids import new_id
from services.chassis.rpc.codec import to_timestamp
from services.notify import preferences, senders
from services.notify.links import Links
from services.notify.models import Kind
from tests.support.services import Running, together

NotifyStubs = together(
    notify_service_pb2_grpc.NotifyServiceStub,
    preference_service_pb2_grpc.PreferenceServiceStub,
    sender_service_pb2_grpc.SenderServiceStub,
    template_service_pb2_grpc.TemplateServiceStub,
    delivery_report_service_pb2_grpc.DeliveryReportServiceStub,
)


@dataclass
class Studio:
    """A studio with one client, who has an account."""

    booking: Running
    notify: Running
    id: UUID = field(default_factory=new_id)
    account: UUID = field(default_factory=new_id)
    client_id: UUID = field(default_factory=new_id)

    @property
    def name(self) -> str:
        return f"studios/{self.id}"

    @property
    def resource(self) -> str:
        return f"{self.name}/clients/{self.client_id}/preferences"

    @property
    def links(self) -> Links:
        return Links(self.notify.resources.settings.secret)

    def token(self, kind: Kind | None = Kind.REMINDER, age: timedelta = timedelta(), language: str = "en") -> str:
        return self.links.token(self.id, self.client_id, kind, language, real_now() - age)

    def staff(self, role: Any = Role.ROLE_FRONT_DESK) -> Any:
        return self.notify.as_account(NotifyStubs, roles={self.id: [role]})

    def client(self, account: UUID | None = None) -> Any:
        return self.notify.as_account(NotifyStubs, account or self.account)

    def anyone(self) -> Any:
        return self.notify.anonymous(NotifyStubs)

    async def open(self) -> None:
        """Makes the client, and tells notify of the studio."""
        desk = self.booking.as_account(ClientServiceStub, roles={self.id: [Role.ROLE_FRONT_DESK]})
        client = client_pb2.Client(display_name="Ann Adler", account=f"accounts/{self.account}")
        request = client_service_pb2.CreateClientRequest(parent=self.name, client=client, request_id=uuid4().hex)
        self.client_id = UUID((await desk.CreateClient(request)).name.rpartition("/")[2])
        async with self.notify.resources.database.transaction(self.id) as tx:
            await senders.put_studio(tx, version=1, display_name="Kiez Pilates", time_zone="Europe/Berlin")

    async def shown(self) -> pb.Preferences:
        answer: pb.Preferences = await self.staff().GetPreferences(pb.GetPreferencesRequest(name=self.resource))
        return answer

    async def change(self, stub: Any = None, etag: str = "", **fields: Any) -> pb.Preferences:
        wanted = pb.Preferences(name=self.resource, etag=etag, **fields)
        request = pb.UpdatePreferencesRequest(preferences=wanted, request_id=uuid4().hex)
        answer: pb.Preferences = await (stub or self.staff()).UpdatePreferences(request)
        return answer

    async def consent(self, at: datetime, stub: Any = None, client: UUID | None = None, **fields: Any) -> pb.Consent:
        request = pb.CreateConsentRequest(
            parent=f"{self.name}/clients/{client or self.client_id}",
            consent=pb.NewConsent(time=to_timestamp(at), **{"source": pb.Consent.PAPER, **fields}),
            request_id=uuid4().hex,
        )
        answer: pb.Consent = await (stub or self.staff()).CreateConsent(request)
        return answer

    async def loaded(self) -> preferences.Preferences:
        async with self.notify.resources.database.transaction(self.id) as tx:
            return (await preferences.load(tx, [self.client_id]))[self.client_id]

    async def consents(self) -> list[pb.Consent]:
        parent = f"{self.name}/clients/{self.client_id}"
        return list((await self.staff().ListConsents(pb.ListConsentsRequest(parent=parent))).consents)
