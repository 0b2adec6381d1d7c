"""`python -m services.scheduling serve | work | migrate | replay`."""

from services.chassis.main import main
from services.scheduling.service import SERVICE

main(SERVICE)
