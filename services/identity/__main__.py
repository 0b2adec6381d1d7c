"""`python -m services.identity serve | work | migrate`."""

from services.chassis.service import main
from services.identity.service import SERVICE

if __name__ == "__main__":
    main(SERVICE)
