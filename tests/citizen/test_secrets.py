"""Secrets appear in no repr, error or pickle."""

from __future__ import annotations

import pickle

import headrace
import pytest
from headrace import errors

from tests.citizen.conftest import Served

SECRET = "testsecret"
ERRORS = [
    name for name, each in vars(errors).items() if isinstance(each, type) and issubclass(each, errors.HeadraceError)
]


def test_nothing_that_is_shown_or_pickled_holds_a_secret(configured: Served) -> None:
    assert any(SECRET in value for value in configured.properties.values())
    catalog = headrace.load_catalog("citizen")
    table = headrace.Table("citizen.t", catalog=catalog)
    plan = table.scan("id > 5")
    store = table._access.store()
    for shown in (catalog, table, plan, plan.shards(2), store, table.metadata, plan.load()):
        assert SECRET not in repr(shown)
        assert SECRET not in str(shown)
    for sent in (catalog, table, plan, plan.shards(2)):
        assert SECRET.encode() not in pickle.dumps(sent)


def test_an_error_holds_no_secret(configured: Served) -> None:
    properties = {**configured.properties, "s3.secret-access-key": "a-wrong-secret"}
    catalog = headrace.load_catalog("wrong", **properties)
    with pytest.raises(errors.HeadraceError) as raised:
        headrace.Table("citizen.t", catalog=catalog).load()
    assert "a-wrong-secret" not in str(raised.value)
    assert SECRET not in str(raised.value)
    assert isinstance(raised.value, errors.AuthenticationError)


def test_a_table_is_the_same_after_a_pickle(configured: Served) -> None:
    table = headrace.Table("citizen.t", catalog="citizen")
    again = pickle.loads(pickle.dumps(table))
    assert again.snapshot == table.snapshot
    assert again.load("id < 10").to_arrow() == table.load("id < 10").to_arrow()


@pytest.mark.parametrize("name", ERRORS)
def test_every_error_survives_a_pickle(name: str) -> None:
    error = getattr(errors, name)("what", table="db.t", location="s3://b/k", byte_range=(1, 2), hint="do this")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert vars(again) == vars(error)
