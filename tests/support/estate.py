"""All services in this process, and studios in them that own one of everything: objects to try in vain."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from google.api.httpbody_pb2 import HttpBody
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message

from powerhouse.booking.v1 import (
    attendance_service_pb2_grpc,
    booking_pb2,
    booking_service_pb2,
    booking_service_pb2_grpc,
    calendar_service_pb2,
    calendar_service_pb2_grpc,
    client_note_pb2,
    client_note_service_pb2,
    client_note_service_pb2_grpc,
    client_pb2,
    client_service_pb2,
    client_service_pb2_grpc,
    credit_service_pb2,
    credit_service_pb2_grpc,
    drop_in_service_pb2_grpc,
    erasure_service_pb2_grpc,
    export_service_pb2,
    export_service_pb2_grpc,
    fee_service_pb2,
    fee_service_pb2_grpc,
    import_service_pb2,
    import_service_pb2_grpc,
    series_service_pb2_grpc,
    waitlist_service_pb2,
    waitlist_service_pb2_grpc,
    waiver_pb2,
    waiver_service_pb2,
    waiver_service_pb2_grpc,
)
from powerhouse.identity.v1 import identity_service_pb2, identity_service_pb2_grpc
from powerhouse.notify.v1 import (
    delivery_report_service_pb2_grpc,
    notify_service_pb2,
    notify_service_pb2_grpc,
    preference_service_pb2,
    preference_service_pb2_grpc,
    push_service_pb2,
    push_service_pb2_grpc,
    sender_service_pb2_grpc,
    template_service_pb2,
    template_service_pb2_grpc,
)
from powerhouse.payments.v1 import (
    catalogue_pb2,
    catalogue_service_pb2,
    catalogue_service_pb2_grpc,
    gift_card_service_pb2_grpc,
    membership_service_pb2,
    membership_service_pb2_grpc,
    merchant_service_pb2_grpc,
    payment_method_service_pb2_grpc,
    purchase_service_pb2,
    purchase_service_pb2_grpc,
    receipt_service_pb2_grpc,
    reconciliation_service_pb2_grpc,
    refund_service_pb2_grpc,
    webhook_service_pb2_grpc,
)
from powerhouse.policy.v1.policy_pb2 import Role
from powerhouse.scheduling.v1 import (
    availability_service_pb2,
    availability_service_pb2_grpc,
    class_schedule_pb2,
    class_schedule_service_pb2,
    class_schedule_service_pb2_grpc,
    closure_service_pb2,
    closure_service_pb2_grpc,
    conflict_service_pb2,
    conflict_service_pb2_grpc,
    generation_service_pb2,
    generation_service_pb2_grpc,
    scheduling_service_pb2,
    scheduling_service_pb2_grpc,
    studio_pb2,
)
from services.booking.service import SERVICE as BOOKING
from services.chassis.auth.principal import Principal
from services.chassis.ids import new_id
from services.chassis.messaging import inbox
from services.chassis.messaging.envelope import COLUMNS, Envelope
from services.identity.service import SERVICE as IDENTITY
from services.notify.service import SERVICE as NOTIFY
from services.payments.service import SERVICE as PAYMENTS
from services.scheduling.service import SERVICE as SCHEDULING
from tests.support.services import HeldClock, Mesh, Running, together

STUBS = {
    "booking": together(
        booking_service_pb2_grpc.BookingServiceStub,
        client_service_pb2_grpc.ClientServiceStub,
        attendance_service_pb2_grpc.AttendanceServiceStub,
        drop_in_service_pb2_grpc.DropInServiceStub,
        calendar_service_pb2_grpc.CalendarServiceStub,
        client_note_service_pb2_grpc.ClientNoteServiceStub,
        waiver_service_pb2_grpc.WaiverServiceStub,
        credit_service_pb2_grpc.CreditServiceStub,
        fee_service_pb2_grpc.FeeServiceStub,
        series_service_pb2_grpc.SeriesServiceStub,
        waitlist_service_pb2_grpc.WaitlistServiceStub,
        import_service_pb2_grpc.ImportServiceStub,
        export_service_pb2_grpc.ExportServiceStub,
        erasure_service_pb2_grpc.ErasureServiceStub,
    ),
    "identity": identity_service_pb2_grpc.IdentityServiceStub,
    "notify": together(
        notify_service_pb2_grpc.NotifyServiceStub,
        preference_service_pb2_grpc.PreferenceServiceStub,
        sender_service_pb2_grpc.SenderServiceStub,
        template_service_pb2_grpc.TemplateServiceStub,
        delivery_report_service_pb2_grpc.DeliveryReportServiceStub,
        push_service_pb2_grpc.PushServiceStub,
    ),
    "payments": together(
        catalogue_service_pb2_grpc.CatalogueServiceStub,
        gift_card_service_pb2_grpc.GiftCardServiceStub,
        merchant_service_pb2_grpc.MerchantServiceStub,
        purchase_service_pb2_grpc.PurchaseServiceStub,
        membership_service_pb2_grpc.MembershipServiceStub,
        payment_method_service_pb2_grpc.PaymentMethodServiceStub,
        receipt_service_pb2_grpc.ReceiptServiceStub,
        refund_service_pb2_grpc.RefundServiceStub,
        reconciliation_service_pb2_grpc.ReconciliationServiceStub,
        webhook_service_pb2_grpc.WebhookServiceStub,
    ),
    "scheduling": together(
        scheduling_service_pb2_grpc.SchedulingServiceStub,
        class_schedule_service_pb2_grpc.ClassScheduleServiceStub,
        generation_service_pb2_grpc.GenerationServiceStub,
        availability_service_pb2_grpc.AvailabilityServiceStub,
        closure_service_pb2_grpc.ClosureServiceStub,
        conflict_service_pb2_grpc.ConflictServiceStub,
    ),
}
# The week in which the API's examples play.
NOW = datetime(2026, 11, 20, 8, 15, tzinfo=UTC)


# What uploads hold that are not images.
_FILES = {"UploadImportRequest": b"Client ID,Name,Email\n1,Clara,clara@lindt.example\n"}


async def _upload(request: Any) -> AsyncIterator[Any]:
    """The request, a file, and the end of it."""
    yield request
    data = _FILES.get(request.DESCRIPTOR.name, b"\x89PNG\r\n\x1a\n")
    (body,) = (field.name for field in request.DESCRIPTOR.fields if field.message_type)
    yield type(request)(**{body: HttpBody(data=data)})
    yield type(request)()


@dataclass
class Estate:
    """The services by name."""

    services: dict[str, Running]

    async def call(self, principal: Principal, method: MethodDescriptor, request: Message) -> Any:
        """Calls a method at the service that owns it. Of a stream the first answer says it all."""
        service = method.containing_service.full_name.split(".")[1]
        stub = self.services[service].as_principal(STUBS[service], principal)
        call = getattr(stub, method.name)(_upload(request) if method.client_streaming else request)
        if not method.server_streaming:
            return await call
        try:
            return await anext(aiter(call))
        finally:
            call.cancel()

    async def carry(self) -> None:
        """Brings every event to every service, as the broker would."""
        for source in self.services.values():
            rows = await source.sql(f"SELECT {COLUMNS} FROM outbox ORDER BY version")
            for target in self.services.values():
                envelopes = [Envelope.of_row(row) for row in rows]
                await inbox.apply(target.resources.database, target.service.consumers, envelopes)

    async def contents(self, tenant: UUID) -> dict[str, str]:
        """A digest of each table's rows of a studio, by `service.table`."""
        digests = {}
        for name, running in self.services.items():
            tables = await running.sql(
                "SELECT table_name FROM information_schema.columns JOIN information_schema.tables USING (table_name)"
                " WHERE column_name = 'tenant_id' AND table_type = 'BASE TABLE' AND tables.table_schema = 'public'"
            )
            for (table,) in tables:
                rows = await running.sql(
                    f"SELECT md5(string_agg(t::text, '' ORDER BY t::text)) FROM {table} t WHERE tenant_id = $1", tenant
                )
                digests[f"{name}.{table}"] = str(rows[0][0])
        return digests


@asynccontextmanager
async def open_estate(mesh: Mesh) -> AsyncIterator[Estate]:
    """The services run as long as the context."""
    mesh.clock = HeldClock(NOW)
    push = {"VAPID_PRIVATE_KEY_FILE": str(mesh.certificates.push_key)}
    async with AsyncExitStack() as stack:
        running = [
            await stack.enter_async_context(mesh.running(service, push))
            for service in (IDENTITY, SCHEDULING, BOOKING, NOTIFY, PAYMENTS)
        ]
        yield Estate({each.service.name: each for each in running})


@dataclass
class Holding:
    """A studio with an owner and the names of its objects by collection: `rooms` → `studios/…/rooms/…`."""

    estate: Estate
    owner: Principal = field(default_factory=Principal)
    tenant: UUID = field(default_factory=new_id)
    objects: dict[str, str] = field(default_factory=dict)
    # `Estate.contents` of a moment that a test chose.
    contents: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"studios/{self.tenant}"

    def stub(self, service: str) -> Any:
        return self.estate.services[service].as_principal(STUBS[service], self.owner)

    def add(self, made: Any) -> str:
        self.objects[made.name.split("/")[-2]] = made.name
        return str(made.name)


async def build(estate: Estate) -> Holding:
    """A new studio that has one of everything."""
    account = await _sign_up(estate)
    person = estate.services["scheduling"].as_account(STUBS["scheduling"], account)
    studio = studio_pb2.Studio(display_name="Kiez Pilates", time_zone="Europe/Berlin", currency_code="EUR")
    made = await person.CreateStudio(
        scheduling_service_pb2.CreateStudioRequest(studio=studio, request_id=str(new_id()))
    )
    tenant = UUID(made.name.split("/")[1])
    owner = Principal(account_id=account, roles={tenant: frozenset({int(Role.ROLE_OWNER)})})
    holding = Holding(estate, owner, tenant)
    logo = scheduling_service_pb2.UploadStudioLogoRequest(name=made.name)
    await holding.stub("scheduling").UploadStudioLogo(_upload(logo))
    await _plan(holding)
    await _recur(holding)
    await estate.carry()
    await _staff(holding)
    await _book(holding)
    await _fill(holding)
    await estate.carry()
    await _transfer(holding)
    await _sell(holding)
    deliveries = await holding.stub("notify").ListDeliveries(
        notify_service_pb2.ListDeliveriesRequest(parent=holding.name)
    )
    holding.add(deliveries.deliveries[0])
    await _choose(holding)
    return holding


async def _sign_up(estate: Estate) -> UUID:
    # As the gateway calls it, since only a member of the mesh is believed about the address that is throttled.
    stub = estate.services["identity"].as_service(STUBS["identity"], "gateway")
    email = f"owner-{new_id()}@kiezpilates.example"
    request = identity_service_pb2.SignUpRequest(email=email, password="nine reformers in a row", display_name="Olivia")
    answer = await stub.SignUp(request, metadata=(("x-forwarded-for", str(new_id())),))
    return UUID(answer.account.name.split("/")[1])


async def _plan(holding: Holding) -> None:
    stub, pb, common = holding.stub("scheduling"), scheduling_service_pb2, {"parent": holding.name}
    location = studio_pb2.Location(display_name="Mitte", time_zone="Europe/Berlin")
    where = holding.add(await stub.CreateLocation(pb.CreateLocationRequest(location=location, **_keyed(common))))
    spots = ["Reformer 1", "Reformer 2", "Reformer 3"]
    room = studio_pb2.Room(display_name="Room", location=where, capacity=3, spots=spots)
    room_name = holding.add(await stub.CreateRoom(pb.CreateRoomRequest(room=room, **_keyed(common))))
    kind = studio_pb2.ClassType(display_name="Flow", duration_minutes=50)
    kind_name = holding.add(await stub.CreateClassType(pb.CreateClassTypeRequest(class_type=kind, **_keyed(common))))
    teacher = studio_pb2.Instructor(display_name="Ines")
    teacher_name = holding.add(
        await stub.CreateInstructor(pb.CreateInstructorRequest(instructor=teacher, **_keyed(common)))
    )
    session = pb.NewClassSession(
        class_type=kind_name, room=room_name, instructor=teacher_name, local_start="2026-11-24T10:00"
    )
    holding.add(await stub.CreateClassSession(pb.CreateClassSessionRequest(class_session=session, **_keyed(common))))


async def _recur(holding: Holding) -> None:
    stub, common = holding.stub("scheduling"), {"parent": holding.name}
    schedule = class_schedule_pb2.ClassSchedule(
        display_name="Flow, Monday mornings",
        class_type=holding.objects["classTypes"],
        room=holding.objects["rooms"],
        instructor=holding.objects["instructors"],
        rrule="FREQ=WEEKLY;BYDAY=MO",
        start_date="2026-11-23",
        local_time="07:00",
    )
    request = class_schedule_service_pb2.CreateClassScheduleRequest(class_schedule=schedule, **_keyed(common))
    holding.add(await stub.CreateClassSchedule(request))
    # Another one in the same room at the same time.
    request = class_schedule_service_pb2.CreateClassScheduleRequest(class_schedule=schedule, **_keyed(common))
    await stub.CreateClassSchedule(request)
    generate = generation_service_pb2.GenerateClassSessionsRequest(**_keyed(common))
    holding.add(await stub.GenerateClassSessions(generate))
    conflicts = await stub.ListScheduleConflicts(conflict_service_pb2.ListScheduleConflictsRequest(**common))
    holding.add(conflicts.schedule_conflicts[0])
    closure = closure_service_pb2.Closure(display_name="New Year", start_date="2027-01-01", end_date="2027-01-01")
    holding.add(await stub.CreateClosure(closure_service_pb2.CreateClosureRequest(closure=closure, **_keyed(common))))
    away = availability_service_pb2.AvailabilityException(
        instructor=holding.objects["instructors"], kind="AWAY", start_date="2027-01-02", end_date="2027-01-03"
    )
    create = availability_service_pb2.CreateAvailabilityExceptionRequest(availability_exception=away, **_keyed(common))
    holding.add(await stub.CreateAvailabilityException(create))
    weekly = holding.objects["instructors"].replace("/instructors/", "/availabilities/")
    holding.add(await stub.GetAvailability(availability_service_pb2.GetAvailabilityRequest(name=weekly)))


async def _staff(holding: Holding) -> None:
    stub, pb, common = holding.stub("identity"), identity_service_pb2, {"parent": holding.name}
    bindings = await stub.ListRoleBindings(pb.ListRoleBindingsRequest(parent=holding.name))
    holding.add(bindings.role_bindings[0])
    invitation = pb.NewInvitation(email="jo@kiezpilates.example", role=Role.ROLE_MANAGER)
    holding.add(await stub.CreateInvitation(pb.CreateInvitationRequest(invitation=invitation, **_keyed(common))))
    key = pb.NewApiKey(display_name="Website", role=Role.ROLE_FRONT_DESK)
    holding.add(await stub.CreateApiKey(pb.CreateApiKeyRequest(api_key=key, **_keyed(common))))


async def _book(holding: Holding) -> None:
    stub, pb, common = holding.stub("booking"), booking_service_pb2, {"parent": holding.name}
    client = client_pb2.Client(display_name="Mara Lindt", account=f"accounts/{holding.owner.account_id}")
    name = holding.add(await stub.CreateClient(client_service_pb2.CreateClientRequest(client=client, **_keyed(common))))
    await _describe(holding, name)
    pack = credit_service_pb2.NewClientPackage(client=name, display_name="10 classes", credits=10, reason="welcome")
    granted = credit_service_pb2.GrantClientPackageRequest(client_package=pack, **_keyed(common))
    holding.add(await stub.GrantClientPackage(granted))
    # Cancelled late, for a fee.
    policy = booking_pb2.BookingPolicy(
        name=f"{holding.name}/bookingPolicy", late_cancel_fee_minor=500, cancellation_window_minutes=14 * 24 * 60
    )
    await stub.UpdateBookingPolicy(pb.UpdateBookingPolicyRequest(booking_policy=policy, request_id=str(new_id())))
    booking = pb.NewBooking(class_session=holding.objects["classSessions"], client=name)
    late = await stub.CreateBooking(pb.CreateBookingRequest(booking=booking, **_keyed(common)))
    await stub.CancelBooking(pb.CancelBookingRequest(name=late.name, request_id=str(new_id())))
    fees = await stub.ListFees(fee_service_pb2.ListFeesRequest(parent=holding.name))
    holding.add(fees.fees[0])
    booking = pb.NewBooking(class_session=holding.objects["classSessions"], client=name)
    holding.add(await stub.CreateBooking(pb.CreateBookingRequest(booking=booking, **_keyed(common))))
    feed = calendar_service_pb2.NewCalendarFeed(subject=name)
    holding.add(
        await stub.CreateCalendarFeed(
            calendar_service_pb2.CreateCalendarFeedRequest(calendar_feed=feed, **_keyed(common))
        )
    )


async def _describe(holding: Holding, client: str) -> None:
    stub, common = holding.stub("booking"), {"parent": holding.name}
    tag = client_pb2.ClientTag(display_name="Morning person")
    request = client_service_pb2.CreateClientTagRequest(client_tag=tag, **_keyed(common))
    holding.add(await stub.CreateClientTag(request))
    note = client_note_pb2.ClientNote(client=client, kind=client_note_pb2.ClientNote.GENERAL, body="Likes the window")
    holding.add(
        await stub.CreateClientNote(client_note_service_pb2.CreateClientNoteRequest(client_note=note, **_keyed(common)))
    )
    waiver = waiver_pb2.Waiver(name=f"{holding.name}/waiver", title="Waiver", text="At my own risk.")
    await stub.PublishWaiver(waiver_service_pb2.PublishWaiverRequest(waiver=waiver, request_id=str(new_id())))
    people = [
        await stub.CreateClient(
            client_service_pb2.CreateClientRequest(client=client_pb2.Client(display_name="Twin"), **_keyed(common))
        )
        for _ in range(2)
    ]
    twins = {"name": people[0].name, "duplicate": people[1].name, "request_id": str(new_id())}
    holding.add(await stub.MergeClients(client_service_pb2.MergeClientsRequest(**twins)))


async def _fill(holding: Holding) -> None:
    """The class is full, and somebody waits for it."""
    stub, pb, common = holding.stub("booking"), booking_service_pb2, {"parent": holding.name}
    session = holding.objects["classSessions"]
    for number in range(3):
        client = client_pb2.Client(display_name="Jo Weber")
        made = await stub.CreateClient(client_service_pb2.CreateClientRequest(client=client, **_keyed(common)))
        pack = credit_service_pb2.NewClientPackage(
            client=made.name, display_name="10 classes", credits=10, reason="welcome"
        )
        grant = credit_service_pb2.GrantClientPackageRequest(client_package=pack, **_keyed(common))
        await stub.GrantClientPackage(grant)
        booking = pb.NewBooking(class_session=session, client=made.name)
        # One of its three places is booked.
        if number < 2:
            await stub.CreateBooking(pb.CreateBookingRequest(booking=booking, **_keyed(common)))
    entry = waitlist_service_pb2.NewWaitlistEntry(class_session=session, client=made.name)
    join = waitlist_service_pb2.JoinWaitlistRequest(waitlist_entry=entry, **_keyed(common))
    holding.add(await stub.JoinWaitlist(join))


def _keyed(common: dict[str, str]) -> Any:
    return {**common, "request_id": str(new_id())}


async def _choose(holding: Holding) -> None:
    """The client wants no text messages, and the studio has its templates."""
    stub, pb = holding.stub("notify"), preference_service_pb2
    no_sms = pb.Preferences.OptOut(channel=notify_service_pb2.Delivery.SMS)
    preferences = pb.Preferences(name=f"{holding.objects['clients']}/preferences", opt_outs=[no_sms])
    await stub.UpdatePreferences(pb.UpdatePreferencesRequest(preferences=preferences, request_id=str(new_id())))
    templates = await stub.ListMessageTemplates(template_service_pb2.ListMessageTemplatesRequest(parent=holding.name))
    holding.add(templates.message_templates[0])
    browser = push_service_pb2.PushSubscription(
        endpoint="https://fcm.googleapis.com/fcm/send/mara",
        p256dh="BMfRmojf_WjGkoULzSDWXl4br8ieGvu4hSBpA-gIOYOYcWlBCISOUUwFKzej1htRjzZjussCiX8X0vwa8hxYb14",
        auth="Aw8bJzM_S1djb3uHk5-rtw",
    )
    subscribe = push_service_pb2.CreatePushSubscriptionRequest(
        push_subscription=browser, **_keyed({"parent": holding.objects["clients"]})
    )
    holding.add(await stub.CreatePushSubscription(subscribe))


async def _transfer(holding: Holding) -> None:
    stub, pb = holding.stub("booking"), import_service_pb2
    upload = pb.UploadImportRequest(parent=holding.name, kind=pb.Import.CLIENTS)
    holding.add(await stub.UploadImport(_upload(upload)))
    export = export_service_pb2.RequestExportRequest(**_keyed({"parent": holding.name}))
    holding.add(await stub.RequestExport(export))


# A studio that can be paid, without a provider: as it would have told.
_MERCHANT = """
    WITH directory AS (
        INSERT INTO merchants (external_account, studio_id) VALUES ('acct_' || $1, CAST($1 AS uuid))),
    compared AS (
        INSERT INTO reconciliations (tenant_id, currency_code, provider_minor, ledger_minor, under_way_minor,
            differences, transaction_count, events_found, run_time)
        VALUES (CAST($1 AS uuid), 'EUR', 0, 0, 0, '[]', 0, 0, now()))
    INSERT INTO merchant_accounts (tenant_id, external_account, currency_code, charges_enabled, payouts_enabled,
        requirements, was_active, read_time, version)
    VALUES (CAST($1 AS uuid), 'acct_' || $1, 'EUR', true, true, '{}', true, now(), 1)
"""
# A payment that came in for the purchase, and a refund of a part of it.
_REFUND = """
    WITH paid AS (
        INSERT INTO payments (tenant_id, id, purchase_id, external_account, intent_key, intent_key_time, amount_minor,
            currency_code, state, charge_id, succeed_time, refunding_minor, refunded_minor, version)
        VALUES ($1, $3, $2, 'acct_' || $1::uuid, $3, now(), 10000, 'EUR', 'SUCCEEDED', 'ch_1', now(), 500, 500, 1))
    INSERT INTO refunds (tenant_id, id, purchase_id, payment_id, amount_minor, currency_code, tax_minor,
        deferred_minor, credits, reason, state, failure, version)
    VALUES ($1, $3, $2, $3, 500, 'EUR', 0, 0, 0, 'goodwill', 'SUCCEEDED', '', 1)
"""
# The receipt of that payment.
_RECEIPT = """
    INSERT INTO receipts (tenant_id, id, kind, number, purchase_id, client_id, account_id, description, price_minor,
        discount_minor, net_minor, tax_minor, total_minor, gift_minor, currency_code, tax_display_name,
        payment_method, receipt_number, issuer, create_time)
    SELECT tenant_id, $3, 'RECEIPT', 1, id, client_id, account_id, '10 classes', price_minor, discount_minor, net_minor,
        tax_minor, total_minor, 0, currency_code, 'VAT', 'visa 4242', 0,
        '{"name": "Kiez", "address": "", "tax_number": "", "footer": "", "time_zone": "UTC"}', now()
    FROM purchases WHERE tenant_id = $1 AND id = $2
"""
# A card that somebody bought there.
_GIFT_CARD = """
    INSERT INTO gift_cards (tenant_id, id, purchase_id, account_id, code_end, amount_minor, currency_code, version)
    SELECT tenant_id, $3, id, account_id, '', 5000, currency_code, 1 FROM purchases WHERE tenant_id = $1 AND id = $2
"""
# The mail that brings it to somebody, in a while.
_GIFT_MAIL = """
    INSERT INTO deliveries (tenant_id, id, kind, subject_id, channel, args, due_time, create_time, due_at)
    VALUES ($1, $2, 'gift_card', $2, 'email', '{"account": ""}', now(), now(), now() + interval '1 year')
"""
# Who has cards at a provider that is not there.
_CUSTOMER = """
    INSERT INTO customers (tenant_id, client_id, external_account, external_id, create_time)
    VALUES ($1, $2, 'acct_' || $1::uuid, 'cus_' || $1::uuid, now())
"""


async def _sell(holding: Holding) -> None:
    payments, common = holding.estate.services["payments"], {"parent": holding.name}
    await payments.sql(_MERCHANT, str(holding.tenant))
    stub, pb = holding.stub("payments"), catalogue_service_pb2
    rate = catalogue_pb2.TaxRate(display_name="VAT", rate_ppm=190_000, inclusive=True)
    rate_name = holding.add(await stub.CreateTaxRate(pb.CreateTaxRateRequest(tax_rate=rate, **_keyed(common))))
    option = catalogue_pb2.PricingOption(display_name="10 classes", price_minor=10_000, credits=10, tax_rate=rate_name)
    option_name = holding.add(
        await stub.CreatePricingOption(pb.CreatePricingOptionRequest(pricing_option=option, **_keyed(common)))
    )
    code = catalogue_pb2.PromoCode(code="SUMMER", off_ppm=100_000)
    holding.add(await stub.CreatePromoCode(pb.CreatePromoCodeRequest(promo_code=code, **_keyed(common))))
    bought = await stub.CreatePurchase(
        purchase_service_pb2.CreatePurchaseRequest(
            client=holding.objects["clients"], pricing_option=option_name, total_minor=10_000, **_keyed(common)
        )
    )
    purchase_id, refund_id = UUID(holding.add(bought).rpartition("/")[2]), new_id()
    await payments.sql(_REFUND, holding.tenant, purchase_id, refund_id)
    holding.objects["refunds"] = f"{holding.name}/refunds/{refund_id}"
    plan = catalogue_pb2.PricingOption(
        kind=catalogue_pb2.PricingOption.MEMBERSHIP,
        display_name="8 a month",
        price_minor=8000,
        credits=8,
        interval=catalogue_pb2.PricingOption.MONTH,
        interval_count=1,
    )
    plan_made = await stub.CreatePricingOption(pb.CreatePricingOptionRequest(pricing_option=plan, **_keyed(common)))
    joined = await stub.CreateMembership(
        membership_service_pb2.CreateMembershipRequest(
            client=holding.objects["clients"], pricing_option=plan_made.name, total_minor=8000, **_keyed(common)
        )
    )
    holding.add(joined)
    await payments.sql(_CUSTOMER, holding.tenant, UUID(holding.objects["clients"].rpartition("/")[2]))
    await payments.sql(_RECEIPT, holding.tenant, purchase_id, refund_id)
    await payments.sql(_GIFT_CARD, holding.tenant, purchase_id, refund_id)
    await holding.estate.services["notify"].sql(_GIFT_MAIL, holding.tenant, refund_id)
    holding.objects["giftCards"] = f"{holding.name}/giftCards/{refund_id}"
    holding.objects["receipts"] = f"{holding.name}/receipts/{refund_id}"
