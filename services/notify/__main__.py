"""`python -m services.notify serve | work | migrate | replay`."""

from services.chassis.main import main
from services.notify.service import SERVICE

if __name__ == "__main__":
    main(SERVICE)
