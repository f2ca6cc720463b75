"""A region of Sentry's, as far as it calls a control silo.

Calls every method of the services that a control silo answers, the way Sentry's own client does,
and reads the answers the way that client reads them: every field of a model must be there and of
its type, and no other. What the answers say is compared with the directory that the caller of
this script has made; see `tests/it/rpc/region.rs`.

    python3 region.py http://127.0.0.1:8000 SECRET

Standard library only.
"""

import hashlib
import hmac
import http.client
import json
import re
import sys
from urllib.parse import urlsplit

ORIGIN = urlsplit(sys.argv[1])
SECRET = sys.argv[2]

connection = http.client.HTTPConnection(ORIGIN.hostname, ORIGIN.port, timeout=5)
called = set()

# What Sentry's client has said of calls since 2026.
VIEWER = {"viewer_context": {"user_id": 1, "actor_type": "user"}}


def post(path, body, authorization):
    """Sends one request; the status and the body of the response."""
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "User-Agent": "sentry-rpc/from-us",
    }
    if authorization is not None:
        headers["Authorization"] = authorization
    connection.request("POST", path, body, headers)
    response = connection.getresponse()
    return response.status, response.read()


def sign(path, body, secret=SECRET):
    """The signature of a call, as it stands in the Authorization header."""
    message = path.encode() + b":" + body
    digest = hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()
    return "Rpcsignature rpc0:" + digest


def send(service, method, args, meta):
    """Calls a method; the status and the body of the response."""
    called.add((service, method))
    path = f"/api/0/internal/rpc/{service}/{method}/"
    # No white space, other letters than ASCII escaped.
    body = json.dumps({"meta": meta, "args": args}, separators=(",", ":")).encode()
    return post(path, body, sign(path, body))


def call(service, method, **args):
    """Calls a method that must succeed; its result."""
    status, body = send(service, method, args, VIEWER)
    assert status == 200, (method, args, status, body)
    answer = json.loads(body)
    assert set(answer) == {"meta", "value"}, answer
    assert answer["meta"] == {}, answer
    # Sentry's own renderer writes none, and nothing is gained by some.
    assert b": " not in re.sub(rb'"(?:\\.|[^"\\])*"', b'""', body), body
    return answer["value"]


def fails(service, method, **args):
    """Calls a method that must fail the way any method fails."""
    status, body = send(service, method, args, {})
    assert (status, json.loads(body)) == (400, ["Invalid input."]), (method, args, status, body)


def malformed(service, method, **args):
    """Calls a method with arguments that cannot be read."""
    status, body = send(service, method, args, {})
    assert status == 400, (method, args, status, body)
    assert json.loads(body) == {"detail": "Malformed request."}, (method, args, body)


def user(method, **args):
    return call("user", method, **args)


# What models are made of.


def integer(value):
    return type(value) is int


def text(value):
    return type(value) is str


def boolean(value):
    return type(value) is bool


def anything(_):
    return True


def moment(value):
    return text(value) and re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?Z", value
    ) and not value.endswith(".000000Z")


def maybe(kind):
    return lambda value: value is None or kind(value)


def many(kind):
    return lambda value: type(value) is list and all(map(kind, value))


def a_set(kind):
    return lambda value: many(kind)(value) and len(set(value)) == len(value)


def model(fields):
    def check(value):
        assert type(value) is dict, value
        assert set(value) == set(fields), set(value) ^ set(fields)
        for name, kind in fields.items():
            assert kind(value[name]), (name, value[name])
        return True

    return check


USER_PROFILE = {
    "id": integer,
    "pk": integer,
    "name": text,
    "email": text,
    "username": text,
    "actor_id": maybe(integer),
    "display_name": text,
    "label": text,
    "is_superuser": boolean,
    "is_authenticated": boolean,
    "is_anonymous": boolean,
    "is_active": boolean,
    "is_staff": boolean,
    "is_unclaimed": boolean,
    "last_active": maybe(moment),
    "is_sentry_app": boolean,
    "password_usable": boolean,
    "is_password_expired": boolean,
    "session_nonce": maybe(text),
}
RpcUserProfile = model(USER_PROFILE)
RpcAvatar = model(
    {"id": integer, "file_id": maybe(integer), "ident": text, "avatar_type": text}
)
RpcUserEmail = model({"id": integer, "email": text, "is_verified": boolean})
RpcAuthenticator = model(
    {
        "id": integer,
        "user_id": integer,
        "created_at": moment,
        "last_used_at": maybe(moment),
        "type": integer,
        "config": anything,
    }
)
RpcUser = model(
    {
        **USER_PROFILE,
        "roles": a_set(text),
        "permissions": a_set(text),
        "avatar": maybe(RpcAvatar),
        "emails": a_set(text),
        "useremails": many(RpcUserEmail),
        "authenticators": many(RpcAuthenticator),
    }
)
UserCreateResult = model({"user": RpcUser, "created": boolean})
RpcVerifyUserEmail = model({"exists": boolean, "email": text})
RpcUserOption = model(
    {
        "id": integer,
        "user_id": integer,
        "value": anything,
        "key": text,
        "project_id": maybe(integer),
        "organization_id": maybe(integer),
    }
)
RpcOrganizationMapping = model(
    {
        "id": integer,
        "slug": text,
        "name": text,
        "region_name": text,
        "date_created": moment,
        "verified": boolean,
        "customer_id": maybe(text),
        "status": maybe(integer),
        "flags": model(
            {
                name: boolean
                for name in (
                    "early_adopter",
                    "require_2fa",
                    "allow_joinleave",
                    "enhanced_privacy",
                    "disable_shared_issues",
                    "disable_new_visibility_features",
                    "disable_member_project_creation",
                    "prevent_superuser_access",
                    "disable_member_invite",
                )
            }
        ),
    }
)


def ids(users):
    return [found["id"] for found in users]


def filters():
    """Who is found. 1 is ada, 2 the inactive grace, 3 linus without any organization."""
    for args, expected in (
        ({"user_ids": [3, 1, 1, 404]}, [1, 3]),
        ({"user_ids": []}, []),
        ({"organization_id": 7}, [1, 2]),
        ({"organization_id": 7, "is_active": True}, [1]),
        ({"organization_id": None}, [3]),
        ({"emails": ["ADA@example.com"]}, [1]),
        ({"emails": ["ada@example.com"], "email_verified": False}, []),
        ({"user_ids": [1, 2, 3], "query": "EXAMPLE"}, [1, 2, 3]),
        ({"user_ids": [1, 2, 3], "authenticator_types": [1]}, [1]),
        ({"user_ids": [1, 2, 3], "authenticator_types": None}, [2, 3]),
        ({"user_ids": [1, 2, 3], "is_active": None}, []),
    ):
        assert sorted(user("get_many_ids", filter=args)) == expected, args
        users = user("get_many", filter=args)
        assert many(RpcUser)(users) and sorted(ids(users)) == expected, args
        profiles = user("get_many_profiles", filter=args)
        assert many(RpcUserProfile)(profiles) and sorted(ids(profiles)) == expected, args
        shown = user("serialize_many", filter=args, as_user=None, auth_context=None, serializer=None)
        assert sorted(int(found["id"]) for found in shown) == expected, args
    for args in ({}, {"is_active": True}, {"query": "x"}, {"user_ids": None}, {"emails": None}):
        fails("user", "get_many", filter=args)
    malformed("user", "get_many", filter={"user_ids": "1"})
    malformed("user", "get_many")


def users():
    """What is told of users."""
    (ada,) = user("get_many", filter={"user_ids": [1]})
    assert ada["emails"] == ["ada@example.com"], ada
    assert ada["roles"] == ["users.admin"], ada
    assert ada["avatar"]["avatar_type"] == "gravatar", ada
    assert [factor["type"] for factor in ada["authenticators"]] == [1], ada
    assert ada["authenticators"][0]["config"] == {"secret": "s"}, ada
    for serializer, name in ((0, "options"), (1, "canReset2fa"), (2, "permissions")):
        (shown,) = user(
            "serialize_many",
            filter={"user_ids": [1]},
            as_user=ada,
            auth_context={"auth": None, "user": ada},
            serializer=serializer,
        )
        assert name in shown, shown
    (found,) = user(
        "get_many_by_email",
        emails=["ADA@EXAMPLE.COM"],
        is_active=True,
        is_verified=True,
        organization_id=7,
    )
    assert RpcUser(found) and found == ada
    (found,) = user("get_by_username", username="Ada", with_valid_password=True, is_active=None)
    assert RpcUser(found) and found == ada
    names = user("get_existing_usernames", usernames=["ada", "ADA", "nobody"])
    assert names == ["ada"], names
    part = {**ada, "roles": [], "permissions": [], "useremails": [], "authenticators": []}
    for found in (
        user("get_first_superuser"),
        user("get_user_by_email", email="ada@example.com", ident=None),
        user("get_user_by_social_auth", organization_id=7, provider="github", uid="1815"),
    ):
        assert RpcUser(found) and found == part, found
    assert user("get_user_by_email", email="nobody@example.com", ident=None) is None
    assert RpcAvatar(user("get_user_avatar", user_id=1))
    assert user("get_user_avatar", user_id=404) is None
    member = user(
        "resolve_fuzzy_user", organization_id=7, email="ada@elsewhere.example", name=None
    )
    assert member == 1, member
    found = user(
        "verify_user_emails",
        user_id_emails=[
            {"user_id": 1, "email": "ADA@example.com"},
            {"user_id": 404, "email": "ada@example.com"},
        ],
        only_verified=True,
    )
    assert all(map(RpcVerifyUserEmail, found.values()))
    assert {int(id): one["exists"] for id, one in found.items()} == {1: True, 404: False}, found


def organizations():
    found = user("get_organizations", user_id=1, only_visible=True)
    assert many(RpcOrganizationMapping)(found) and ids(found) == [7], found
    assert user("get_organizations", user_id=3, only_visible=False) == []
    for method in ("get_member_cell_names", "get_member_region_names"):
        assert user(method, user_id=1) == ["us"]


def changes():
    """What is changed, and that it is changed once."""
    created = user(
        "get_or_create_by_email", email="j\u00f6rg@example.com", ident=None, referrer=None
    )
    assert UserCreateResult(created) and created["created"], created
    id = created["user"]["id"]
    assert created["user"]["email"] == "j\u00f6rg@example.com"
    assert re.fullmatch("jorg-[0-9a-f]{32}", created["user"]["username"]), created
    again = user(
        "get_or_create_by_email", email="J\u00d6RG@example.com", ident=None, referrer="x"
    )
    assert again == {**created, "created": False}, again
    made = user("create_by_username_and_email", email="new@example.com", username="new")
    assert RpcUser(made) and made["username"] == "new", made
    fails("user", "create_by_username_and_email", email="new@example.com", username="new")
    for expected in (True, False):
        assert user("verify_user_email", email="j\u00f6rg@example.com", user_id=id) is expected
        assert user("verify_any_email", email="new@example.com") is expected
    for method in ("add_permission", "remove_permission"):
        for expected in (True, False):
            assert user(method, user_id=id, permission="users.admin") is expected
    assert user("flush_nonce", user_id=id) is None
    assert user("trigger_user_consent_email_if_applicable", user_id=id) is None
    fails("user", "trigger_user_consent_email_if_applicable", user_id=404)
    shown = user("update_user", user_id=id, attrs={"is_active": False})
    assert shown["isActive"] is False and shown["emails"] == [], shown
    assert user("update_user", user_id=404, attrs={"is_active": False}) is None
    (profile,) = user("get_many_profiles", filter={"user_ids": [id]})
    assert profile["session_nonce"] == "foo" and not profile["is_active"], profile


def options():
    for value in ("dark", None, [1, {"a": 2.5}], True):
        result = call(
            "user_option",
            "set_option",
            user_id=1,
            value=value,
            key="theme",
            project_id=None,
            organization_id=None,
        )
        assert result is None
        (option,) = call("user_option", "get_many", filter={"user_ids": [1], "key": "theme"})
        assert RpcUserOption(option) and option["value"] == value, option
    malformed("user_option", "get_many", filter={"key": "theme"})
    fails(
        "user_option",
        "serialize_many",
        filter={"user_ids": [1]},
        as_user=None,
        auth_context=None,
    )
    assert call("user_option", "delete_options", option_ids=[option["id"], 404]) is None
    assert call("user_option", "get_many", filter={"user_ids": [1]}) == []


def caching():
    for expected in (1, 2):
        version = call("control_caching", "clear_key", key="app_service.get_by_id:7")
        assert version == expected, version


def refusals():
    """What is said to whoever is no silo, and to silos of what is not there."""
    path = "/api/0/internal/rpc/user/get_many/"
    body = b'{"meta":{},"args":{"filter":{"user_ids":[1]}}}'
    assert post(path, body, None)[0] == 403
    assert post(path, body, sign(path, body, "another"))[0] == 401
    assert post(path, body, sign(path, body) + ":00")[0] == 401
    assert post(path, b"{}", sign(path, b"{}"))[0] == 400
    assert send("user", "delete_user", {}, {})[0] == 404
    assert send("user_gateway", "get_roles", {"user_ids": [1]}, {})[0] == 404
    fails("user", "get_user", user_id=1)


filters()
users()
organizations()
changes()
options()
caching()
refusals()
print("\n".join(sorted(f"{service}/{method}" for service, method in called)))
