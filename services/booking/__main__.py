"""`python -m services.booking serve | work | migrate | replay | rewrap-keys`."""

from services.booking import person_keys
from services.booking.service import SERVICE
from services.chassis.main import Maintenance, main

if __name__ == "__main__":
    main(SERVICE, {"rewrap-keys": Maintenance("wrap the clients' keys with the first key", person_keys.rewrap_all)})
