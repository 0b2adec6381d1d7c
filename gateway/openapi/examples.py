"""Examples of requests and answers: one studio in Berlin, its Monday class, one client who books it."""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from gateway.openapi.resources import Resources, example_id, snake_case
from gateway.openapi.rules import rules_of
from gateway.openapi.schemas import Use, fields_of, well_known

# By `Message.field` (without the `New` of what a creation takes), else by the field's name.
_WORDS: dict[str, Any] = {
    "Account.display_name": "Mara Lindt",
    "ApiKey.display_name": "Website",
    "ApiKey.secret": "phk_019aa3c04f0c7aa18d20b1c5e1f0a9d2_uJq0mCXkT7gQm0n3yS5rVw2bH8eLk1pZ6dAfN9xYtRo",
    "ApiKey.hint": "YtRo",
    "AdjustCreditsRequest.reason": "The class was cut short",
    "AvailabilityException.end_date": "2026-12-31",
    "AvailabilityException.end_time_of_day": "",
    "AvailabilityException.start_date": "2026-12-28",
    "AvailabilityException.start_time_of_day": "",
    "BalanceExplanation.balance": 9,
    "BookingPolicy.version": "3",
    "BookingPreview.bookable": True,
    "BookingPreview.client_package_display_name": "10 classes",
    "BookingPreview.message": "",
    "BookingPreview.reason": "",
    "CancellationPreview.cancellable": True,
    "CancellationPreview.credit_returned": True,
    "CancellationPreview.fee_minor": "0",
    "CancellationPreview.message": "",
    "CancellationPreview.reason": "",
    "CancellationPreview.state": "CANCELLED_EARLY",
    "Fee.amount_minor": "1000",
    "Fee.reason": "",
    "CalendarFeed.hint": "tRou",
    "CalendarFeed.subject": f"studios/{example_id('studio')}/clients/{example_id('client')}",
    "CalendarFeed.url": "https://powerhouse.example/v1/calendars/"
    "AZqjwJnYe-6NvEJ8qL1oGrM0mLRo2ZyC4Vq7iXkT5hEw8nBdJfUs3aPgQxDlytRou.ics",
    "CancelClassSessionRequest.reason": "The instructor is ill",
    "ClassSchedule.attention": "ATTENTION_UNSPECIFIED",
    "ClassSchedule.attention_message": "",
    "ClassSchedule.display_name": "Reformer Flow, Monday mornings",
    "ClassSchedule.series": f"studios/{example_id('studio')}/classSchedules/{example_id('class_schedule')}",
    "ClassSession.original_date": "2026-11-23",
    "ClassType.display_name": "Reformer Flow",
    "Clash.closure": "",
    "Closure.display_name": "Christmas",
    "Closure.end_date": "2026-12-26",
    "Closure.start_date": "2026-12-24",
    "GeneratedDate.clashes": [],
    "GeneratedDate.message": "",
    "GenerationRun.attention_count": 0,
    "GenerationRun.class_schedule": "",
    "GenerationRun.conflict_count": 0,
    "GenerationRun.created_count": 12,
    "GenerationRun.dates": [],
    "GenerationRun.duration_ms": 18,
    "GenerationRun.existing_count": 0,
    "GenerationRun.horizon_weeks": 4,
    "GenerationRun.skipped_count": 0,
    "GenerationRun.unserved": [],
    "ScheduleConflict.force_reason": "",
    "ScheduleConflict.message": "Room is taken",
    "ScheduleConflict.original_date": "2026-11-30",
    "SeriesEdit.display_name": "Reformer Flow, Monday mornings",
    "SeriesEditPreview.conflicts": [],
    "Studio.generation_weeks": 4,
    "UnservedSchedule.message": "Cannot generate classes - Room deleted. Update schedule.",
    "Attempt.code": "card_declined",
    "Attempt.decline_code": "insufficient_funds",
    "Attempt.message": "Payment declined. Please try different card.",
    "CreatePurchaseRequest.booking": "",
    "CreatePurchaseRequest.code": "SUMMER",
    "QuotePurchaseRequest.booking": "",
    "QuotePurchaseRequest.code": "SUMMER",
    "CreateRefundRequest.reason": "The client moves away",
    "Dispute.reason": "fraudulent",
    "Dispute.status": "needs_response",
    "Difference.subject": "ch_3PqXtQ2eZvKYlo2C1a0b9c8d",
    "MerchantAccount.external_account": "acct_1PqXtQ2eZvKYlo2C",
    "MerchantAccount.requirements": [],
    "OnboardingLink.url": "https://connect.stripe.com/setup/s/acct_1PqXtQ2eZvKYlo2C/8kQ2mVbT",
    "PaymentSession.client_secret": "pi_3PqXtQ2eZvKYlo2C0a1b2c3d_secret_Yb4Vt0mJq7gQ",
    "PaymentSession.external_account": "acct_1PqXtQ2eZvKYlo2C",
    "PaymentSession.publishable_key": "pk_test_51PqXtQ2eZvKYlo2C",
    "Payout.status": "paid",
    "PricingOption.display_name": "10 classes",
    "PricingOption.price_minor": "11900",
    "PromoCode.off_ppm": 100000,
    "PromoCode.off_minor": "0",
    "PromoCode.max_redemptions": 100,
    "PromoCode.redemptions": 12,
    "PromoCode.code": "SUMMER",
    "Purchase.attempts": [],
    "Purchase.booking": "",
    "Purchase.return_reason": "",
    "Quote.discount_minor": "0",
    "Quote.display_name": "10 classes",
    "Quote.net_minor": "10000",
    "Quote.price_minor": "11900",
    "Quote.tax_minor": "1900",
    "Letterhead.address": "Oranienstraße 12\n10999 Berlin",
    "Letterhead.business_name": "Kiez Pilates GmbH",
    "Letterhead.footer": "Kiez Pilates GmbH, HRB 12345 B, Amtsgericht Charlottenburg",
    "Letterhead.tax_number": "USt-IdNr. DE123456789",
    "Receipt.description": "10 classes",
    "Receipt.discount_minor": "0",
    "Receipt.net_minor": "10000",
    "Receipt.payment_method": "visa 4242",
    "Receipt.price_minor": "11900",
    "Receipt.receipt_number": "0",
    "Receipt.tax_display_name": "VAT",
    "Receipt.tax_minor": "1900",
    "Refund.failure": "",
    "Refund.reason": "The client moves away",
    "TaxRate.display_name": "VAT",
    "TaxRate.inclusive": True,
    "TaxRate.rate_ppm": 190000,
    "Client.display_name": "Mara Lindt",
    "ClientNote.author": f"accounts/{example_id('account')}",
    "ClientNote.body": "Prefers the reformer by the window",
    "ClientTag.display_name": "Morning person",
    "ClientPackage.expire_time": "2027-02-18T23:00:00Z",
    "ClientPackage.display_name": "10 classes",
    "ClientPackage.reason": "Thank you for moving with us",
    "Delivery.reason": "",
    "Delivery.provider": "resend",
    "Offsets.email_minutes": [1440],
    "Offsets.push_minutes": [],
    "Offsets.sms_minutes": [1440, 120],
    "Step.provider": "resend",
    "Step.reason": "",
    "Step.what": "accepted",
    "ColumnsEntry.key": "display_name",
    "ColumnsEntry.value": "Name",
    "ErasurePreview.credits_left": 3,
    "Export.rows": "48210",
    "Export.size_bytes": "1834201",
    "HeadersEntry.key": "svix-signature",
    "HeadersEntry.value": "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=",
    "HttpBody.content_type": "image/png",
    "HttpBody.extensions": [],
    "Import.columns": {"external_id": "Client ID", "display_name": "Name", "email": "Email"},
    "Import.reason": "",
    "ImportReading.columns": {"external_id": "Client ID", "display_name": "Name", "email": "Email"},
    "ImportRow.column": "Email",
    "ImportRow.line": 2,
    "ImportRow.message": "another client has this address; imported without it",
    "ImportRow.reason": "EMAIL_SHARED",
    "ImportRow.resource": f"studios/{example_id('studio')}/clients/{example_id('client')}",
    "Instructor.display_name": "Ana Silva",
    "Invitation.email": "jo@kiezpilates.example",
    "LedgerEntry.amount": -1,
    "LedgerEntry.balance": 9,
    "LedgerEntry.cause": "BOOKED",
    "LedgerEntry.reason": "",
    "Kept.count": 48,
    "Kept.purpose": "places in classes and their counts must add up",
    "Kept.records": "bookings",
    "Location.display_name": "Kreuzberg",
    "MarkDropInPaidRequest.reason": "Card at the desk",
    "ReceiveProviderEventsRequest.url": "https://powerhouse.example/webhooks/resend",
    "Resolution.force_reason": "",
    "Resolution.local_start": "2026-11-30T18:00",
    "Result.message": "",
    "Result.reason": "",
    "ReceiveStripeEventRequest.url": "https://powerhouse.example/webhooks/stripe",
    "RevokeClientPackageRequest.reason": "Granted to the wrong client",
    "Room.display_name": "Reformer room",
    "RosterEntry.display_name": "Mara Lindt",
    "SignUpRequest.display_name": "Mara Lindt",
    "Studio.display_name": "Kiez Pilates",
    "Studio.logo": "",
    "BookingSeries.week_count": 8,
    "Week.message": "",
    "Week.reason": "",
    "Waiver.text": "I train at my own risk and tell my instructor of injuries and illnesses.",
    "Waiver.title": "Liability waiver",
    "Waiver.version": "1",
    "GetWaiverRequest.version": "1",
    "WaiveBookingRequest.reason": "The client was ill",
    "account_display_name": "Jo Weber",
    "account_email": "jo@kiezpilates.example",
    "WaitlistEntry.booking": "",
    "WaitlistEntry.message": "",
    "WaitlistEntry.passed_over": "",
    "WaitlistEntry.reason": "",
    "Decision.message": "2026-11-20 09:15, when you were number 2 in line: the place went past you, because you had as"
    " many classes ahead as the studio allows.",
    "Decision.outcome": "TOO_MANY_BOOKINGS",
    "ClientWarning.reason": "the mailbox does not exist",
    "Consent.source": "CLIENT",
    "MessageTemplate.html": '{{ heading("You are booked") }}{{ class_type }}, {{ start }}{{ button(link, "Booked") }}',
    "MessageTemplate.subject": "You are booked: {{ class_type }}",
    "MessageTemplate.text": "{{ class_type }}, {{ start }}: {{ link }}",
    "MessageTemplate.variables": ["class_type", "start", "link"],
    "OpenPreferencesResponse.studio_display_name": "Kiez Pilates",
    "PreviewMessageTemplateResponse.html": "<!doctype html>…",
    "PreviewMessageTemplateResponse.subject": "You are booked: Reformer Flow",
    "PreviewMessageTemplateResponse.text": "Reformer Flow, Monday, 23 November 2026, 10:00",
    "QuietHours.end": "08:00",
    "QuietHours.start": "22:00",
    "ReasonFigures.reason": "SMS skipped - client preference",
    "ReasonFigures.state": "SKIPPED",
    "Sender.mail_address": "hallo@mail.kiezpilates.example",
    "Sender.mail_name": "Kiez Pilates",
    "Sender.postal_address": "Oranienstraße 12, 10999 Berlin",
    "Sender.reply_to": "hallo@kiezpilates.example",
    "Sender.sms_number": "+4915112345678",
    "address": "Oranienstraße 12, 10999 Berlin",
    "amount_minor": "500",
    "at": "2026-11-20T08:15:00Z",
    "attempts": 1,
    "booking_closes_minutes": 30,
    "booking_opens_hours": 336,
    "cancel_reason": "",
    "cancellation_window_minutes": 720,
    "capacity": 3,
    "class_schedule_display_name": "Reformer Flow, Monday mornings",
    "class_type_display_name": "Reformer Flow",
    "client_display_name": "Mara Lindt",
    "code": "482913",
    "client_id": example_id("client"),
    "client_package_display_name": "10 classes",
    "create_time": "2026-11-20T08:15:00Z",
    "credit_returned": False,
    "credits": 10,
    "credits_granted": 10,
    "credits_left": 9,
    "country_code": "DE",
    "currency_code": "EUR",
    "delta": 2,
    "delimiter": ",",
    "description": "A steady hour on the reformer, for all levels.",
    "drop_in": False,
    "drop_in_hold_minutes": 15,
    "drop_in_price_minor": "2500",
    "duplicate": f"studios/{example_id('studio')}/clients/{example_id('another client')}",
    "due_time": "2026-11-20T08:15:00Z",
    "accept_time": "2026-11-20T08:15:02Z",
    "duration_minutes": 60,
    "birth_date": "1990-05-31",
    "effective_time_zone": "Europe/Berlin",
    "email": "mara@lindt.example",
    "emergency_contact_name": "Karl Lindt",
    "emergency_contact_phone": "+4930654321",
    "end_date": "",
    "end_time": "2026-11-23T10:00:00Z",
    "etag": "1",
    "event_id": "5d41402abc4b2a76",
    "expire_date": "",
    "expire_time": "2027-02-20T08:15:00Z",
    "first_use_days": 0,
    "from_date": "2026-11-30",
    "free_cancel_until": "2026-11-22T21:00:00Z",
    "free_places": 2,
    "free_spots": ["Reformer 2", "Reformer 3"],
    "guest_of": "",
    "guest_display_name": "",
    "guardian": f"studios/{example_id('studio')}/clients/{example_id('client')}",
    "header": ["Client ID", "Name", "Email"],
    "instructor_display_name": "Ana Silva",
    "join_time": "2026-11-20T08:15:00Z",
    "language": "de",
    "late_cancel_fee_minor": "1000",
    "late_promotion_decline_minutes": 120,
    "local_day": "2026-11-23",
    "local_free_cancel_until": "2026-11-22T22:00",
    "last_day": "2027-02-18",
    "line_close_time": "2026-11-23T08:00:00Z",
    "local_start": "2026-11-23T10:00",
    "local_time": "10:00",
    "location_display_name": "Kreuzberg",
    "minutes": [1440],
    "max_daily_bookings": 2,
    "max_guests": 1,
    "max_upcoming_bookings": 20,
    "method": "CreateInvitation",
    "my_booking": "",
    "new_password": "nine reformers in a row",
    "next_page_token": "",
    "no_show_fee_minor": "1500",
    "no_show_grace_minutes": 15,
    "override_reason": "",
    "page_size": 50,
    "password": "nine reformers in a row",
    "payment_id": example_id("payment"),
    "phone": "+4930123456",
    "policy_version": "3",
    "price_minor": "0",
    "position": 2,
    "principal": f"accounts/{example_id('account')}",
    "progress_percent": 100,
    "provider": "resend",
    "provider_message_id": "49a3999c-0ce1-4ea6-ab68-afcd6dc2e794",
    "purchase_id": example_id("purchase"),
    "quiet_end_minute": 420,
    "quiet_start_minute": 1320,
    "refund_id": example_id("refund"),
    "resource": f"studios/{example_id('studio')}/invitations/{example_id('invitation')}",
    "q": "mara",
    "moved_bookings": 2,
    "moved_packages": 1,
    "role": "ROLE_INSTRUCTOR",
    "room_display_name": "Reformer room",
    "rrule": "FREQ=WEEKLY;BYDAY=MO",
    "self_check_in_minutes": 30,
    "survivor": f"studios/{example_id('studio')}/clients/{example_id('client')}",
    "sign_time": "2026-11-20T08:15:00Z",
    "signed_by": f"accounts/{example_id('account')}",
    "sentence": "Booked Reformer Flow on Mon 23 Nov 10:00: 1 credit",
    "rows_created": 180,
    "rows_done": 200,
    "rows_refused": 5,
    "rows_total": 200,
    "rows_unchanged": 15,
    "rows_updated": 0,
    "source": "mindbody",
    "spot": "Reformer 1",
    "spots": ["Reformer 1", "Reformer 2", "Reformer 3"],
    "start_date": "2026-11-23",
    "start_time": "2026-11-23T09:00:00Z",
    "tags": [f"studios/{example_id('studio')}/clientTags/{example_id('client_tag')}"],
    "summary": "You are number 2 in line. No place is free. The line closes 2026-11-23 09:00.",
    "time_zone": "Europe/Berlin",
    "total_minor": "11900",
    "token": "n3Vt0mJq7gQkCXyS5rVw2bH8eLk1pZ6dAfN9xYtRouI",
    "typed_name": "Mara Lindt",
    "update_time": "2026-11-20T08:15:00Z",
    "valid_days": 90,
    "Window.end_time_of_day": "17:00",
    "Window.start_time_of_day": "09:00",
    "waitlist_cutoff_minutes": 60,
    "waitlist_mode": "AUTO_PROMOTE",
    "waitlist_offer_minutes": 60,
    "waiver_version": "1",
}
# What has not happened in the example: these times stay unset.
_UNSET = {
    "archive_time",
    "cancel_time",
    "check_in_time",
    "hold_expire_time",
    "offer_expire_time",
    "revoke_time",
    "undo_time",
}
_WELL_KNOWN: dict[str, Any] = {
    "google.protobuf.Timestamp": "2026-11-23T09:00:00Z",
    "google.protobuf.Duration": "3600s",
    "google.protobuf.FieldMask": "displayName",
    "google.protobuf.Any": {"@type": "type.googleapis.com/google.protobuf.Empty"},
    "google.protobuf.ListValue": [],
}


class Examples:
    """Values for fields, from their names, their resources and their types."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources

    def message(self, message: Descriptor, use: Use, without: frozenset[str] = frozenset(), depth: int = 0) -> Any:
        """A message as its JSON; for a PATCH only its first field."""
        if (schema := well_known(message)) is not None:
            return _WELL_KNOWN.get(message.full_name, _of_type(schema))
        fields = [field for field in fields_of(message, use, without) if field.name not in _UNSET]
        if use is not Use.ANSWER:
            # An etag that is not the one just read would only be refused.
            fields = [field for field in fields if field.name != "etag"]
        if use is Use.PATCH:
            fields = fields[:1]
        # One branch of a tree that holds itself is enough; of a oneof the first field.
        fields = [field for field in fields if depth < 3 or field.message_type is None]
        fields = [f for f in fields if f.containing_oneof is None or f.containing_oneof.fields[0] is f]
        return {field.json_name: self.field(field, use, depth) for field in fields}

    def field(self, field: FieldDescriptor, use: Use, depth: int = 0) -> Any:
        """A field's value; of a list the whole list."""
        if (word := self.word(field)) is not None:
            return word
        message = field.message_type
        if message and message.GetOptions().map_entry:
            return {"name": self.field(message.fields_by_name["value"], use, depth)}
        inner = Use.REQUEST if use is Use.PATCH and field.is_repeated else use
        value = self.message(message, inner, depth=depth + 1) if message else _scalar(field)
        return [value] if field.is_repeated else value

    def word(self, field: FieldDescriptor) -> Any:
        """What the field's name alone says about its value; None when it says nothing."""
        owner = field.containing_type.name.removeprefix("New") if field.containing_type else ""
        for key in (f"{owner}.{field.name}", field.name):
            if key in _WORDS:
                return _WORDS[key]
        if field.type != FieldDescriptor.TYPE_STRING:
            return None
        named = snake_case(owner) if field.name == "name" else "studio" if field.name == "parent" else field.name
        if field.is_repeated:
            single = self._resources.example(named.removesuffix("s"))
            return [single] if single else None
        return self._resources.example(named)


def _scalar(field: FieldDescriptor) -> Any:
    if field.enum_type is not None:
        refused = set(rules_of(field).enum.not_in) | {0}
        return next((v.name for v in field.enum_type.values if v.number not in refused), field.enum_type.values[0].name)
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return False
    if field.cpp_type in (FieldDescriptor.CPPTYPE_INT64, FieldDescriptor.CPPTYPE_UINT64):
        return "1"
    return 1 if field.cpp_type != FieldDescriptor.CPPTYPE_STRING else "text"


def _of_type(schema: dict[str, Any]) -> Any:
    return {"string": "1", "integer": 1, "number": 1, "boolean": True}.get(schema.get("type", ""), {})
