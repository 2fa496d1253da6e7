"""A role is one member of the enum and one row of the table; everything else reads these."""

import re
from pathlib import Path

import pytest

from tests.api.access import test_access_matrix
from warehouse.roles import ROLE_PERMISSIONS, Permission, Role
from warehouse.schema.ledger import User
from warehouse.schema.rules import OneOf

ROOT = Path(__file__).resolve().parents[2]


def test_every_role_has_a_row_and_may_read():
    assert list(ROLE_PERMISSIONS) == list(Role)
    assert all(Permission.READ in permissions for permissions in ROLE_PERMISSIONS.values())


def test_every_permission_is_of_some_role():
    assert set().union(*ROLE_PERMISSIONS.values()) == set(Permission)


def test_the_access_matrix_tries_every_role():
    assert tuple(test_access_matrix.ROLES) == tuple(Role)


def test_the_database_takes_every_role():
    rules = User.__table__.columns["role"].info["rules"]
    assert [rule.words for rule in rules if isinstance(rule, OneOf)] == [tuple(Role)]


@pytest.mark.parametrize("package", ["api", "warehouse", "assets"])
def test_roles_are_named_nowhere_else(package):
    names = "|".join(role for role in Role)
    generated = ROOT / "warehouse" / "migrations" / "versions"
    listed = [
        str(path.relative_to(ROOT))
        for path in (ROOT / package).rglob("*.py")
        if path != ROOT / "warehouse" / "roles.py"
        and not path.is_relative_to(generated)
        and len(set(re.findall(rf"[\"']({names})[\"']", path.read_text(encoding="utf-8")))) > 1
    ]
    assert listed == []
