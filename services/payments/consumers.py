"""Events of other services and what they do here."""

from services.chassis.messaging.consumers import Consumers

consumers = Consumers()
