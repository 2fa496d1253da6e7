"""Which column names look as if a file held people: such a file is refused, nothing of it is read."""

import re
from collections.abc import Collection, Iterable
from pathlib import Path

from forecasting.errors import PatientData

PATIENT_WORDS = frozenset(
    """
    name firstname forename givenname middlename lastname surname familyname maidenname fullname initials
    patient patientid patientno patientnumber patientname patientkey patientref patientidentifier personid person
    subjectid sampleid memberid encounterid visitid hospitalnumber casenumber
    mrn medicalrecordnumber nhsnumber nhsno chinumber healthnumber insurancenumber medicarenumber medicaidid
    ssn socialsecuritynumber nationalid passportnumber
    dateofbirth dob birthdate birthday birthyear yearofbirth dateofdeath dod
    address address1 address2 address3 address4 streetaddress street postcode postalcode zip zipcode
    email emailaddress phone phonenumber telephone mobile mobilenumber
    """.split()
)


def refuse_patient_columns(names: Iterable[str], path: Path, legitimate: Collection[str] = ()) -> None:
    """Raise `PatientData` if a column that is not legitimate in this file looks like patient-level data.

    >>> refuse_patient_columns(["facility_id", "NHS Number"], Path("stock.csv"))
    Traceback (most recent call last):
    forecasting.errors.PatientData: stock.csv: column 'NHS Number' looks like patient-level data: nothing was read
    """
    for name in names:
        if name not in legitimate and re.sub(r"[^a-z0-9]", "", name.lower()) in PATIENT_WORDS:
            raise PatientData(f"{path.name}: column {name!r} looks like patient-level data: nothing was read")
