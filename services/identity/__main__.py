"""`python -m services.identity serve | work | migrate | replay`."""

from services.chassis.main import main
from services.identity.service import SERVICE

if __name__ == "__main__":
    main(SERVICE)
