"""A control silo as Sentry's answers other silos: a handful of users in memory.

Used by the tests of the client of other silos. It says `listening PORT` once it does and ends when
its standard input does. Its one argument is the secret that calls are signed with.

Where Sentry promises nothing, this takes care that nobody gets used to it: lists come in
descending order, users are repeated for each row that a join finds, and of a filter with addresses
and their state each may be about another address, as in older versions.
"""

import hashlib
import hmac
import json
import re
import sys
import threading
import uuid
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SECRET = sys.argv[1].encode()
LOCK = threading.Lock()


class Malformed(Exception):
    """Arguments that do not parse."""


class Failed(Exception):
    """Any failure inside a method."""


class Unknown(Exception):
    """No such method."""


# --- What is stored -------------------------------------------------------------------------------

USERS = {}
EMAILS = []
AVATARS = {}
AUTHENTICATORS = []
PERMISSIONS = {}
ROLES = {}
OPTIONS = []
ORGANIZATIONS = {}
MEMBERSHIPS = []
IDENTITIES = []
SOCIAL = []


def moment(text):
    return datetime.fromisoformat(text).astimezone(timezone.utc)


def add_user(username, name="", email="", password="pbkdf2_sha256$1$salt$hash", **columns):
    user = {
        "id": len(USERS) + 1,
        "username": username,
        "name": name,
        "email": email,
        "password": password,
        "is_active": True,
        "is_staff": False,
        "is_superuser": False,
        "is_suspended": False,
        "is_unclaimed": False,
        "is_managed": False,
        "is_sentry_app": None,
        "is_password_expired": False,
        "session_nonce": None,
        "date_joined": moment("2025-01-01T00:00:00+00:00"),
        "last_active": None,
        "last_login": None,
        "flags": 0,
        "avatar_type": 0,
        "avatar_url": None,
    }
    user.update(columns)
    USERS[user["id"]] = user
    return user


def add_email(user_id, email, is_verified):
    row = {"id": len(EMAILS) + 1, "user_id": user_id, "email": email, "is_verified": is_verified}
    EMAILS.append(row)


def fill():
    ada = add_user(
        "ada",
        "Ada Lovelace",
        "ada@example.com",
        is_superuser=True,
        session_nonce="nonce",
        date_joined=moment("2025-03-01T10:00:00.250000+00:00"),
        last_active=moment("2025-06-01T00:00:00+00:00"),
    )["id"]
    grace = add_user(
        "grace", "Grace", "grace@example.com", date_joined=moment("2025-02-01T00:00:00+00:00")
    )["id"]
    alan = add_user("alan", "", "alan@example.com", "!", is_active=False)["id"]
    guest = add_user("Guest-1", "", "guest@example.com", is_suspended=True)["id"]
    add_email(ada, "ada@example.com", True)
    add_email(ada, "Ada@Work.example", False)
    add_email(grace, "grace@example.com", True)
    add_email(grace, "shared@example.com", True)
    add_email(alan, "alan@example.com", True)
    add_email(guest, "guest@example.com", True)
    AVATARS[ada] = {"id": 5, "file_id": None, "ident": "ident", "avatar_type": 2}
    for number, kind in ((1, 1), (2, 0)):
        AUTHENTICATORS.append(
            {
                "id": number,
                "user_id": ada,
                "created_at": moment("2025-01-05T00:00:00+00:00"),
                "last_used_at": None,
                "type": kind,
                "config": {"secret": "JBSWY3DPEHPK3PXP"},
            }
        )
    PERMISSIONS[ada] = {"broadcasts.admin"}
    ROLES[ada] = {"users.admin", "options.admin"}
    for number, region, status in ((1, "us", 0), (2, "de", 1), (3, "us", 0)):
        ORGANIZATIONS[number] = {
            "id": number,
            "slug": f"org-{number}",
            "name": f"Organization {number}",
            "region_name": region,
            "date_created": moment("2025-01-01T00:00:00+00:00"),
            "customer_id": None,
            "status": status,
        }
    # The same membership twice: nothing forbids it.
    MEMBERSHIPS.extend([(1, ada), (1, ada), (2, ada), (1, grace), (3, guest)])
    for number, (user, project, organization, key, value) in enumerate(
        (
            (ada, None, None, "theme", "light"),
            (ada, None, None, "theme", "dark"),
            (ada, 42, None, "mail:email", "ada@work.example"),
            (ada, None, 1, "self_notifications", "1"),
            (grace, None, None, "timezone", None),
        ),
        1,
    ):
        OPTIONS.append(
            {
                "id": number,
                "user_id": user,
                "project_id": project,
                "organization_id": organization,
                "key": key,
                "value": value,
            }
        )
    IDENTITIES.append((ada, "ada-at-work"))
    SOCIAL.append((grace, "github", "1234"))


# --- Models ---------------------------------------------------------------------------------------


def profile(user):
    usable = user["password"] not in (None, "") and not user["password"].startswith("!")
    return {
        "id": user["id"],
        "pk": user["id"],
        "name": user["name"],
        "email": user["email"],
        "username": user["username"],
        "actor_id": None,
        "display_name": user["name"] or user["email"] or user["username"],
        "label": user["email"] or user["username"] or str(user["id"]),
        "is_superuser": user["is_superuser"],
        "is_authenticated": True,
        "is_anonymous": False,
        "is_active": user["is_active"],
        "is_staff": user["is_staff"],
        "is_unclaimed": user["is_unclaimed"],
        "last_active": user["last_active"],
        "is_sentry_app": bool(user["is_sentry_app"]),
        "password_usable": usable,
        "is_password_expired": user["is_password_expired"],
        "session_nonce": user["session_nonce"],
    }


def avatar(user_id):
    row = AVATARS.get(user_id)
    kinds = {0: "letter_avatar", 1: "upload", 2: "gravatar"}
    return row and {**row, "avatar_type": kinds.get(row["avatar_type"], "letter_avatar")}


def emails_of(user_id):
    rows = [row for row in EMAILS if row["user_id"] == user_id]
    return [{key: row[key] for key in ("id", "email", "is_verified")} for row in reversed(rows)]


def plain(user):
    """A user of a plain query: without roles, permissions, addresses and authenticators."""
    verified = {row["email"] for row in emails_of(user["id"]) if row["is_verified"]}
    return {
        **profile(user),
        "roles": set(),
        "permissions": set(),
        "avatar": avatar(user["id"]),
        "emails": verified,
        "useremails": [],
        "authenticators": [],
    }


def complete(user):
    return {
        **plain(user),
        "roles": ROLES.get(user["id"], set()),
        "permissions": PERMISSIONS.get(user["id"], set()),
        "useremails": emails_of(user["id"]),
        "authenticators": [row for row in AUTHENTICATORS if row["user_id"] == user["id"]],
    }


def organization(row):
    names = (
        "early_adopter require_2fa allow_joinleave enhanced_privacy disable_shared_issues "
        "disable_new_visibility_features disable_member_project_creation "
        "prevent_superuser_access disable_member_invite"
    ).split()
    return {**row, "verified": False, "flags": {name: name == "require_2fa" for name in names}}


def serialized(user, viewer, form):
    own = viewer is not None and viewer["id"] == user["id"]
    factors = [row for row in AUTHENTICATORS if row["user_id"] == user["id"] and row["type"] != 0]
    told = {
        "id": str(user["id"]),
        "name": profile(user)["display_name"],
        "username": user["username"],
        "email": user["email"],
        "avatarUrl": "https://gravatar.com/avatar/"
        + hashlib.md5(user["email"].lower().encode()).hexdigest()
        + "?s=32&d=mm",
        "isActive": user["is_active"],
        "hasPasswordAuth": user["password"] not in ("!", ""),
        "isManaged": user["is_managed"],
        "dateJoined": user["date_joined"],
        "lastLogin": user["last_login"],
        "has2fa": bool(factors),
        "lastActive": user["last_active"],
        "isSuperuser": user["is_superuser"],
        "isStaff": user["is_staff"],
        "isSuspended": user["is_suspended"],
        "experiments": {},
        "emails": [],
        "avatar": {"avatarType": "letter_avatar", "avatarUuid": None, "avatarUrl": None},
    }
    if own or (viewer is not None and viewer.get("is_superuser")):
        told["emails"] = [{**row, "id": str(row["id"])} for row in emails_of(user["id"])]
    if own:
        told["options"] = {"theme": "system", "language": "en", "timezone": "UTC"}
        told["flags"] = {"newsletter_consent_prompt": bool(user["flags"] & 1)}
        told["identities"] = []
    if form == 1:
        told["authenticators"] = [{"id": str(row["id"])} for row in factors]
        told["canReset2fa"] = False
    if form == 2 and own:
        told["permissions"] = sorted(PERMISSIONS.get(user["id"], set()))
        told["authenticators"] = [{"id": str(row["id"])} for row in factors]
    return told


# --- Arguments ------------------------------------------------------------------------------------


def integer(value):
    if isinstance(value, (bool, int, float)):
        return int(value)
    if isinstance(value, str) and re.fullmatch(r"\s*[+-]?\d+\s*", value):
        return int(value)
    raise Malformed


def text(value):
    if not isinstance(value, str):
        raise Malformed
    return value


def boolean(value):
    if isinstance(value, bool):
        return value
    raise Malformed


def anything(value):
    return value


def list_of(item):
    def parse(value):
        if not isinstance(value, list):
            raise Malformed
        return [item(one) for one in value]

    return parse


def nullable(item):
    return lambda value: None if value is None else item(value)


def mapping(keys, required=()):
    """A partial map: unknown keys vanish, known ones may be null, presence is what counts."""

    def parse(value):
        if not isinstance(value, dict) or any(name not in value for name in required):
            raise Malformed
        return {name: nullable(keys[name])(value[name]) for name in keys if name in value}

    return parse


USER_FILTER = mapping(
    {
        "user_ids": list_of(integer),
        "is_active": boolean,
        "organization_id": integer,
        "email_verified": boolean,
        "emails": list_of(text),
        "query": text,
        "authenticator_types": list_of(integer),
    }
)
OPTION_FILTER = mapping(
    {
        "user_ids": list_of(integer),
        "project_ids": list_of(integer),
        "project_id": integer,
        "organization_id": integer,
        "keys": list_of(text),
        "key": text,
    },
    required=("user_ids",),
)
USER_UPDATE = mapping(
    {"avatar_url": text, "avatar_type": integer, "actor_id": integer, "is_active": boolean}
)
PAIR = mapping({"user_id": integer, "email": text}, required=("user_id", "email"))
REQUIRED = object()
METHODS = {}


def method(service, **arguments):
    """Declares an RPC method: each argument's parser, or the parser and its default."""

    def declare(function):
        METHODS[service, function.__name__] = function, {
            name: given if isinstance(given, tuple) else (given, REQUIRED)
            for name, given in arguments.items()
        }
        return function

    return declare


def call(service, name, given):
    if (service, name) in (("user", "get_user"), ("user", "get_many_by_id")):
        raise Failed
    if (service, name) not in METHODS:
        raise Unknown
    function, arguments = METHODS[service, name]
    values = {}
    for argument, (parse, default) in arguments.items():
        if argument in given:
            values[argument] = parse(given[argument])
        elif default is REQUIRED:
            raise Malformed
        else:
            values[argument] = default
    with LOCK:
        return function(**values)


# --- The user service -----------------------------------------------------------------------------


def select(wanted):
    """The rows of a filter, one user as often as the joins find one, the newest first."""
    if not {"user_ids", "organization_id", "emails"} & wanted.keys():
        raise Failed
    rows = []
    for user in sorted(USERS.values(), key=lambda user: -user["id"]):
        times = 1
        mine = [row for row in EMAILS if row["user_id"] == user["id"]]
        for key, value in wanted.items():
            if key == "user_ids":
                times *= user["id"] in value
            elif key == "is_active":
                times *= user["is_active"] is value
            elif key == "organization_id":
                joined = [one for one, member in MEMBERSHIPS if member == user["id"]]
                times *= (not joined) if value is None else joined.count(value)
            elif key == "email_verified":
                times *= sum(row["is_verified"] is value for row in mine)
            elif key == "emails":
                upper = [email.upper() for email in value]
                times *= sum(row["email"].upper() in upper for row in mine)
            elif key == "query":
                named = value.lower() in user["name"].lower()
                times *= sum(named or value.lower() in row["email"].lower() for row in mine)
            elif key == "authenticator_types":
                kinds = [row["type"] for row in AUTHENTICATORS if row["user_id"] == user["id"]]
                times *= (not kinds) if value is None else sum(kind in value for kind in kinds)
        rows.extend([user] * times)
    return rows


@method("user", filter=USER_FILTER)
def get_many(filter):
    return [complete(user) for user in select(filter)]


@method("user", filter=USER_FILTER)
def get_many_ids(filter):
    return [user["id"] for user in select(filter)]


@method("user", filter=USER_FILTER)
def get_many_profiles(filter):
    return [profile(user) for user in select(filter)]


@method(
    "user",
    filter=USER_FILTER,
    as_user=(anything, None),
    auth_context=(anything, None),
    serializer=(nullable(integer), None),
)
def serialize_many(filter, as_user, auth_context, serializer):
    return [serialized(user, as_user, serializer or 0) for user in select(filter)]


@method(
    "user",
    emails=list_of(text),
    is_active=(boolean, True),
    is_verified=(boolean, True),
    organization_id=(nullable(integer), None),
)
def get_many_by_email(emails, is_active, is_verified, organization_id):
    upper = [email.upper() for email in emails]
    found = []
    for row in reversed(EMAILS):
        user = USERS[row["user_id"]]
        if row["email"].upper() not in upper or (is_verified and not row["is_verified"]):
            continue
        if is_active and not user["is_active"]:
            continue
        times = 1
        if organization_id is not None:
            times = MEMBERSHIPS.count((organization_id, user["id"]))
        found.extend([{**complete(user), "email": row["email"]}] * times)
    return found


@method(
    "user",
    username=text,
    with_valid_password=(boolean, True),
    is_active=(nullable(boolean), None),
)
def get_by_username(username, with_valid_password, is_active):
    users = [
        user
        for user in USERS.values()
        if (is_active is None or user["is_active"] is is_active)
        and not (with_valid_password and user["password"] == "!")
    ]
    found = [user for user in users if user["username"].upper() == username.upper()]
    if len(found) > 1:
        raise Failed
    if not found and "@" in username:
        found = [user for user in users if user["email"].upper() == username.upper()]
    return [complete(user) for user in found]


@method("user", usernames=list_of(text))
def get_existing_usernames(usernames):
    return [user["username"] for user in USERS.values() if user["username"] in usernames]


@method("user", user_id=nullable(integer), only_visible=(boolean, False))
def get_organizations(user_id, only_visible):
    mine = {one for one, member in MEMBERSHIPS if member == user_id}
    rows = [row for row in reversed(ORGANIZATIONS.values()) if row["id"] in mine]
    return [organization(row) for row in rows if not only_visible or row["status"] == 0]


@method("user", user_id=integer)
def get_member_cell_names(user_id):
    mine = {one for one, member in MEMBERSHIPS if member == user_id}
    return {ORGANIZATIONS[one]["region_name"] for one in mine}


@method("user", user_id=integer, attrs=USER_UPDATE)
def update_user(user_id, attrs):
    user = USERS.get(user_id)
    if user is None:
        return None
    attrs.pop("actor_id", None)
    user.update(attrs)
    return serialized(user, None, 0)


@method("user", user_id=integer)
def flush_nonce(user_id):
    if user_id in USERS:
        USERS[user_id]["session_nonce"] = "foo"


@method("user", organization_id=integer, provider=text, uid=text)
def get_user_by_social_auth(organization_id, provider, uid):
    for user_id, known, account in SOCIAL:
        if (known, account) == (provider, uid) and (organization_id, user_id) in MEMBERSHIPS:
            return plain(USERS[user_id])
    return None


@method("user")
def get_first_superuser():
    found = [user for user in USERS.values() if user["is_superuser"] and user["is_active"]]
    return plain(found[0]) if found else None


def by_email(email, ident):
    found = [
        user
        for user in USERS.values()
        if user["email"].upper() == email.upper() and user["is_active"]
    ]
    if len(found) > 1 and ident:
        named = [user for user in found if (user["id"], ident) in IDENTITIES]
        found = named or found
    return found[0] if found else None


@method("user", email=text, ident=(nullable(text), None))
def get_user_by_email(email, ident):
    user = by_email(email, ident)
    return user and plain(user)


def insert(username, email, **columns):
    if any(user["username"] == username for user in USERS.values()):
        raise Failed
    user = add_user(username, email=email, password="", **columns)
    add_email(user["id"], email, False)
    return user


@method("user", email=text, ident=(nullable(text), None), referrer=(nullable(text), None))
def get_or_create_by_email(email, ident, referrer):
    user = by_email(email, ident)
    if user is not None:
        return {"user": plain(user), "created": False}
    slug = re.sub(r"[^a-z0-9_-]", "", email.split("@")[0].lower())
    user = insert(f"{slug}-{uuid.uuid4().hex}", email, name=email, flags=1)
    return {"user": plain(user), "created": True}


@method("user", email=text, username=text)
def create_by_username_and_email(email, username):
    return plain(insert(username, email))


def verify(rows):
    if not rows or rows[0]["is_verified"]:
        return False
    rows[0]["is_verified"] = True
    return True


def is_address(row, email):
    return row["email"].upper() == email.upper()


@method("user", email=text, user_id=integer)
def verify_user_email(email, user_id):
    return verify([row for row in EMAILS if row["user_id"] == user_id and is_address(row, email)])


@method("user", email=text)
def verify_any_email(email):
    return verify([row for row in EMAILS if is_address(row, email)])


@method("user", user_id=integer)
def trigger_user_consent_email_if_applicable(user_id):
    if user_id not in USERS:
        raise Failed
    USERS[user_id]["flags"] |= 1


@method("user", user_id_emails=list_of(PAIR), only_verified=(boolean, False))
def verify_user_emails(user_id_emails, only_verified):
    return {
        pair["user_id"]: {
            "exists": any(
                row["user_id"] == pair["user_id"]
                and is_address(row, pair["email"])
                and (row["is_verified"] or not only_verified)
                for row in EMAILS
            ),
            "email": pair["email"],
        }
        for pair in user_id_emails
    }


@method("user", user_id=integer)
def get_user_avatar(user_id):
    return avatar(user_id)


@method("user", user_id=integer, permission=text)
def add_permission(user_id, permission):
    if user_id not in USERS:
        raise Failed
    mine = PERMISSIONS.setdefault(user_id, set())
    created = permission not in mine
    mine.add(permission)
    return created


@method("user", user_id=integer, permission=text)
def remove_permission(user_id, permission):
    mine = PERMISSIONS.get(user_id, set())
    existed = permission in mine
    mine.discard(permission)
    return existed


# --- The user option service ----------------------------------------------------------------------


def scoped(row, wanted):
    if "project_ids" in wanted:
        return row["project_id"] in wanted["project_ids"]
    names = ("project_id", "organization_id")
    return all(row[name] == wanted.get(name) for name in names)


def get_many_options(filter):
    if filter.get("project_ids", ()) is None:
        raise Failed
    keys = list(filter.get("keys") or []) + ([filter["key"]] if "key" in filter else [])
    any_key = "keys" not in filter and "key" not in filter
    return [
        row
        for row in reversed(OPTIONS)
        if row["user_id"] in filter["user_ids"]
        and scoped(row, filter)
        and (any_key or row["key"] in keys)
    ]


METHODS["user_option", "get_many"] = get_many_options, {"filter": (OPTION_FILTER, REQUIRED)}


@method(
    "user_option",
    user_id=integer,
    value=anything,
    key=text,
    project_id=(nullable(integer), None),
    organization_id=(nullable(integer), None),
)
def set_option(user_id, value, key, project_id, organization_id):
    if user_id not in USERS:
        raise Failed
    place = {
        "user_id": user_id,
        "project_id": project_id,
        "organization_id": organization_id,
        "key": key,
    }
    found = [row for row in OPTIONS if all(row[name] == place[name] for name in place)]
    if len(found) > 1:
        raise Failed
    if found:
        found[0]["value"] = value
    else:
        number = max(row["id"] for row in OPTIONS) + 1
        OPTIONS.append({"id": number, **place, "value": value})


@method("user_option", option_ids=list_of(integer))
def delete_options(option_ids):
    OPTIONS[:] = [row for row in OPTIONS if row["id"] not in option_ids]


# --- The wire -------------------------------------------------------------------------------------


def encode(value):
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S") + (
            f".{value.microsecond:06}Z" if value.microsecond else "Z"
        )
    if isinstance(value, (set, frozenset)):
        return sorted(value, reverse=True)
    raise TypeError(value)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status, answer, headers = self.answer(body)
        written = json.dumps(answer, default=encode, separators=(",", ":"), ensure_ascii=False)
        written = written.encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(written)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(written)

    def answer(self, body):
        parts = self.headers.get("Authorization", "").split(" ")
        if len(parts) != 2 or parts[0].lower() != "rpcsignature":
            return 403, {"detail": "Authentication credentials were not provided."}, {}
        signed = self.path.encode() + b":" + body
        expected = "rpc0:" + hmac.new(SECRET, signed, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(parts[1], expected):
            challenge = {"WWW-Authenticate": 'rpcsignature realm="api"'}
            return 401, {"detail": "Invalid signature"}, challenge
        malformed = 400, {"detail": "Malformed request."}, {}
        try:
            given = json.loads(body)
        except ValueError:
            return malformed
        if not isinstance(given, dict) or not isinstance(given.get("args"), dict):
            return malformed
        if not isinstance(given.get("meta", {}), dict):
            return malformed
        place = re.fullmatch(r"/api/0/internal/rpc/(\w+)/(\w+)/", self.path)
        if place is None:
            return 404, {"detail": "Not found."}, {}
        try:
            value = call(place[1], place[2], given["args"])
        except Unknown:
            return 404, {"detail": "Not found."}, {}
        except Malformed:
            return malformed
        except Exception:
            return 400, ["Invalid input."], {}
        return 200, {"meta": {}, "value": value}, {}

    def log_message(self, *_):
        pass


fill()
server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
print("listening", server.server_address[1], flush=True)
sys.stdin.read()
