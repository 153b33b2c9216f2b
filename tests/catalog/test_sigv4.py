"""Signatures: AWS's published examples, and botocore on random requests."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from urllib.parse import quote

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from headrace.catalog.sigv4 import Keys, sign

KEYS = Keys("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
AT = datetime(2015, 8, 30, 12, 36, tzinfo=UTC)
FORM = {"content-type": "application/x-www-form-urlencoded"}


@pytest.mark.parametrize(
    ("method", "path", "headers", "body", "signature"),
    [
        # names: get-vanilla, get-vanilla-query-order-key-case, post-vanilla, post-x-www-form-urlencoded
        ("GET", "/", {}, b"", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        (
            "GET",
            "/?Param2=value2&Param1=value1",
            {},
            b"",
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        ),
        ("POST", "/", {}, b"", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
        ("POST", "/", FORM, b"Param1=value1", "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"),
    ],
)
def test_published_vectors(method: str, path: str, headers: dict[str, str], body: bytes, signature: str) -> None:
    url = f"https://example.amazonaws.com{path}"
    signed = sign(method, url, headers, body, KEYS, "us-east-1", "service", AT, hash_header=False)
    assert signed["authorization"].endswith(f"Signature={signature}")


def test_botocore_agrees_on_random_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(7)
    letters = "abz09-_.~ /%+=&\x1fé*'!()"
    now = datetime.now(UTC).replace(microsecond=0)
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda remove_tzinfo=True: now.replace(tzinfo=None))
    for _ in range(300):

        def word() -> str:
            return quote("".join(chance.choices(letters, k=chance.randrange(1, 8))), safe="")

        path = "/" + "/".join(word() for _ in range(chance.randrange(4)))
        query = "&".join(f"{word()}={word()}" for _ in range(chance.randrange(3)))
        url = f"https://glue.us-east-1.amazonaws.com{path}" + (f"?{query}" if query else "")
        body = chance.randbytes(chance.randrange(20))
        keys = Keys("AKID", "secret", chance.choice([None, "token"]))
        headers = {"x-team": "  blue   green ", "accept": "application/json"}
        ours = sign("POST", url, headers, body, keys, "eu-west-1", "glue", now, hash_header=False)
        request = AWSRequest("POST", url, headers=headers, data=body)
        SigV4Auth(
            Credentials(keys.access_key_id, keys.secret_access_key, keys.session_token), "glue", "eu-west-1"
        ).add_auth(request)
        assert ours["authorization"] == request.headers["Authorization"], url


def test_a_bearer_token_moves_aside_and_keys_stay_hidden() -> None:
    signed = sign("GET", "https://h/", {"Authorization": "Bearer t"}, b"", KEYS, "r", "s", AT)
    assert signed["original-authorization"] == "Bearer t"
    assert signed["authorization"].startswith("AWS4-HMAC-SHA256")
    assert "EXAMPLE" not in repr(KEYS)
