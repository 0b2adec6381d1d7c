"""`python -m services.booking serve | work | migrate | replay`."""

from services.booking.service import SERVICE
from services.chassis.main import main

if __name__ == "__main__":
    main(SERVICE)
