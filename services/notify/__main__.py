"""`python -m services.notify serve | work | migrate`."""

from services.chassis.service import main
from services.notify.service import SERVICE

if __name__ == "__main__":
    main(SERVICE)
