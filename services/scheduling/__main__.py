"""`python -m services.scheduling serve | work | migrate`."""

from services.chassis.service import main
from services.scheduling.service import SERVICE

main(SERVICE)
