"""Which column of a file is which field: names as Mindbody, WellnessLiving and German systems write them. No I/O."""

import re
from collections.abc import Mapping, Sequence

from services.chassis.errors import InvalidArgument

# Kind of import → field → names of columns without case, spaces and signs. Earlier fields choose first.
FIELDS: dict[str, dict[str, str]] = {
    "CLIENTS": {
        "external_id": "clientid id externalid memberid customerid rssid uid"
        " barcodeid kundennummer kundennr kundenid mitgliedsnummer mitgliedsnr nr",
        "display_name": "name fullname clientname displayname client customer kunde",
        "first_name": "firstname givenname vorname",
        "last_name": "lastname surname familyname nachname familienname",
        "email": "email emailaddress mail emailadresse mailadresse",
        "phone": "mobilephone mobile cellphone phone phonenumber homephone telephone"
        " mobil mobiltelefon handy handynummer telefon telefonnummer tel",
        "birth_date": "birthdate birthday dateofbirth dob geburtsdatum geburtstag geboren",
        "language": "language locale sprache",
        "emergency_contact_name": "emergencycontact emergencycontactname"
        " emergencycontactinfoname notfallkontakt notfallkontaktname",
        "emergency_contact_phone": "emergencycontactphone emergencyphone emergencycontactinfophone"
        " notfallkontakttelefon notfalltelefon notfallnummer",
    },
    "CLIENT_PACKAGES": {
        "external_id": "packageid clientserviceid serviceid purchaseid paketid kartennummer id",
        "client_external_id": "clientid memberid customerid kundennummer kundennr kundenid mitgliedsnummer mitgliedsnr",
        "client_email": "email clientemail emailaddress emailadresse mail",
        "display_name": "package packagename pricingoption service servicename product name"
        " passname purchaseoption paket karte kartenname produkt tarif",
        "credits_left": "remaining creditsremaining creditsleft sessionsremaining visitsremaining classesremaining"
        " balance guthaben restguthaben rest verbleibend restkontingent",
        "credits_granted": "total count credits creditsgranted sessions visits"
        " purchased limit anzahl gesamt umfang kontingent",
        "class_types": "classtypes eligibleclasstypes eligibleclasses validfor programs"
        " kurse kursarten kurstypen gueltigfuer angebote",
        "expire_date": "expirationdate expiration expires expiry expirydate expdate"
        " expiredate validuntil enddate gueltigbis ablaufdatum ablauf",
    },
    "CLIENT_NOTES": {
        "external_id": "noteid id notizid",
        "client_external_id": "clientid memberid customerid kundennummer kundennr kundenid mitgliedsnummer mitgliedsnr",
        "client_email": "email clientemail emailaddress emailadresse mail",
        "body": "note notes text body comment comments remark notiz notizen bemerkung bemerkungen kommentar",
        "note_kind": "kind type notetype category art typ kategorie",
    },
    "BOOKINGS": {
        "external_id": "bookingid visitid reservationid appointmentid buchungsnummer buchungsid id",
        "client_external_id": "clientid memberid customerid kundennummer kundennr kundenid mitgliedsnummer mitgliedsnr",
        "client_email": "email clientemail emailaddress emailadresse mail",
        "class_session_id": "classsessionid classsession",
        "start_date": "startdatetime date classdate startdate visitdate datum kursdatum termin",
        "start_time": "starttime time classtime uhrzeit zeit beginn startzeit",
        "class_type": "class classname classtype visittype kurs kursname kurstyp angebot",
        "location": "location locationname studio site standort filiale",
    },
}
# One field of each group must be read.
_REQUIRED = {
    "CLIENTS": (("display_name", "first_name", "last_name"),),
    "CLIENT_PACKAGES": (("client_external_id", "client_email"), ("display_name",), ("credits_left",)),
    "CLIENT_NOTES": (("client_external_id", "client_email"), ("body",)),
    "BOOKINGS": (("client_external_id", "client_email"), ("class_session_id", "start_date")),
}
_FOLDED = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss"})


def suggest(kind: str, header: Sequence[str]) -> dict[str, str]:
    """The column that each field's names find; a column is read once."""
    columns: dict[str, str] = {}
    by_name = {_plain(name): name for name in reversed(header)}
    for field, names in FIELDS[kind].items():
        found = next((by_name[name] for name in names.split() if name in by_name), None)
        if found is not None and found not in columns.values():
            columns[field] = found
    return columns


def check(kind: str, header: Sequence[str], columns: Mapping[str, str]) -> None:
    """Raises InvalidArgument UNKNOWN_IMPORT_FIELD, UNKNOWN_COLUMN, COLUMN_REQUIRED."""
    for field, column in columns.items():
        if field not in FIELDS[kind]:
            raise InvalidArgument("reading.columns", f"{field} is no field of it", reason="UNKNOWN_IMPORT_FIELD")
        if column not in header:
            raise InvalidArgument("reading.columns", f"the file has no column {column}", reason="UNKNOWN_COLUMN")
    for group in _REQUIRED[kind]:
        if not set(group) & set(columns):
            wanted = " or ".join(group)
            raise InvalidArgument("reading.columns", f"name the column of {wanted}", reason="COLUMN_REQUIRED")
    if kind == "BOOKINGS" and "class_session_id" not in columns and "class_type" not in columns:
        raise InvalidArgument("reading.columns", "name the column of class_type", reason="COLUMN_REQUIRED")


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower().translate(_FOLDED))
