"""Messages as what booking's nouns take."""

from powerhouse.booking.v1 import booking_service_pb2 as pb
from services.booking.desk import Wanted
from services.booking.rpc.names import child, client_and_account
from services.chassis.errors import PermissionDenied
from services.chassis.rpc.call import current_call


def decode_wanted(booking: pb.NewBooking) -> Wanted:
    """Who may book for anybody may also override the rules. Raises PermissionDenied/OVERRIDE_NOT_ALLOWED."""
    call, (client_id, account) = current_call(), client_and_account(booking.client, "booking.client")
    override, guest = booking.override_reason.strip(), booking.guest_display_name.strip()
    if override and not call.whole_studio:
        raise PermissionDenied("only staff override the rules", reason="OVERRIDE_NOT_ALLOWED")
    return Wanted.of_call(
        call,
        class_session=child(booking.class_session, "classSessions", "booking.class_session"),
        client=client_id,
        account=account,
        spot=booking.spot,
        guest=guest,
        drop_in=booking.drop_in,
        override=override,
    )
