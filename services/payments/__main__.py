"""`python -m services.payments serve | work | migrate | replay`."""

from services.chassis.main import main
from services.payments.service import SERVICE

if __name__ == "__main__":
    main(SERVICE)
