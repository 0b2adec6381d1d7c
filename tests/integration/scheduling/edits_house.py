"""Short ways to close a house, to tell when its people can teach, to decide conflicts and to edit series."""

from typing import Any

from recurring_house import RecurringHouse
from timetable_house import House, key

from powerhouse.policy.v1.policy_pb2 import Role
from powerhouse.scheduling.v1 import availability_service_pb2 as availability_pb
from powerhouse.scheduling.v1.availability_service_pb2 import Availability, AvailabilityException
from powerhouse.scheduling.v1.availability_service_pb2_grpc import AvailabilityServiceStub
from tests.support.services import together

STUBS = together(AvailabilityServiceStub)


class EditsHouse(RecurringHouse):
    """`decide` calls as the house's owner."""

    def __init__(self, house: House) -> None:
        super().__init__(house)
        self.decide = house.running.as_account(STUBS, house.owner, {house.tenant: [Role.ROLE_OWNER]})

    async def can_teach(self, instructor: str, *windows: tuple[int, str, str], **fields: Any) -> Availability:
        """Weekday, from, to of each window."""
        given = Availability(name=instructor.replace("/instructors/", "/availabilities/"), **fields)
        for weekday, start, end in windows:
            given.windows.add(weekday=weekday, start_time_of_day=start, end_time_of_day=end)
        request = availability_pb.UpdateAvailabilityRequest(availability=given, request_id=key())
        request.update_mask.paths.append("windows")
        return await self.decide.UpdateAvailability(request)

    async def different(
        self, instructor: str, kind: str, first: str, last: str, **fields: Any
    ) -> AvailabilityException:
        new = AvailabilityException(
            instructor=instructor,
            kind=AvailabilityException.Kind.Value(kind),
            start_date=first,
            end_date=last,
            **fields,
        )
        return await self.decide.CreateAvailabilityException(
            availability_pb.CreateAvailabilityExceptionRequest(
                parent=self.house.name, availability_exception=new, request_id=key()
            )
        )
