"""Tokens of HS256, as docs/IDENTITY.md shows them, for tests in which somebody signs in."""
import base64
import hashlib
import hmac
import json
import os
import secrets
import time

KEY_ID, SECRET = "tests", secrets.token_bytes(32)


def b64(data):
    data = data if isinstance(data, bytes) else json.dumps(data, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def key_file(folder):
    """Writes the key set that `identity.keyFiles` names; returns its path."""
    path = os.path.join(folder, "tokens.jwks")
    with open(path, "w") as file:
        json.dump({"keys": [{"kty": "oct", "kid": KEY_ID, "k": b64(SECRET)}]}, file)
    return path


def token(user, life=600, **claims):
    now = int(time.time())
    message = b64({"alg": "HS256", "typ": "JWT", "kid": KEY_ID}) + "." + b64(
        {"sub": user, "iat": now, "exp": now + life, **claims})
    return f"{message}.{b64(hmac.new(SECRET, message.encode(), hashlib.sha256).digest())}"


def bearer(text):
    return {"Authorization": f"Bearer {text}"}
