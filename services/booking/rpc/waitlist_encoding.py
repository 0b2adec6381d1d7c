"""The waitlist's rows as messages."""

from collections.abc import Sequence

from powerhouse.booking.v1.waitlist_pb2 import WaitlistEntry
from powerhouse.booking.v1.waitlist_service_pb2 import ExplainWaitlistEntryResponse
from services.booking.explanations import ENDINGS, HINDRANCES, Explanation, in_words
from services.booking.models import WaitlistDecision
from services.booking.promotions import close_time
from services.booking.rpc.encoding import local_time
from services.booking.rpc.names import name_of
from services.booking.waits import Wait
from services.chassis.rpc.codec import to_timestamp


def encode_wait(wait: Wait) -> WaitlistEntry:
    entry, session = wait.entry, wait.session
    return WaitlistEntry(
        name=name_of(entry.tenant_id, "waitlistEntries", entry.id),
        class_session=name_of(entry.tenant_id, "classSessions", entry.class_session_id),
        client=name_of(entry.tenant_id, "clients", entry.client_id),
        client_display_name=wait.client.display_name,
        state=WaitlistEntry.State.Value(entry.state),
        position=wait.position,
        displaced=entry.displaced,
        join_time=to_timestamp(entry.join_time),
        passed_over=HINDRANCES[entry.passed_over] if entry.passed_over else "",
        offer_expire_time=to_timestamp(entry.offer_expire_time),
        booking=name_of(entry.tenant_id, "bookings", entry.booking_id) if entry.booking_id else "",
        reason=entry.reason,
        message=ENDINGS[entry.reason],
        class_type_display_name=session.class_type_display_name,
        start_time=to_timestamp(session.start_time),
        local_start=local_time(session.start_time, session.time_zone),
        time_zone=session.time_zone,
        line_close_time=to_timestamp(close_time(session)),
        etag=entry.etag,
        create_time=to_timestamp(entry.create_time),
        update_time=to_timestamp(entry.update_time),
    )


def encode_explanation(
    explanation: Explanation, decisions: Sequence[WaitlistDecision], next_page_token: str
) -> ExplainWaitlistEntryResponse:
    return ExplainWaitlistEntryResponse(
        waitlist_entry=encode_wait(explanation.wait),
        summary=explanation.summary,
        decisions=[
            ExplainWaitlistEntryResponse.Decision(
                create_time=to_timestamp(decision.create_time),
                position=decision.place_in_line,
                outcome=decision.outcome,
                message=in_words(decision, explanation.wait),
            )
            for decision in decisions
        ],
        next_page_token=next_page_token,
    )
