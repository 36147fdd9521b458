"""Kubernetes' API over HTTPS with a client certificate: JSON in, JSON out."""

import http.client
import json
import ssl
import threading
from collections.abc import Iterator
from urllib.parse import urlencode

from cluster.certificates import Certificates

JSON = "application/json"
MERGE = "application/merge-patch+json"
APPLY = "application/apply-patch+yaml"


class Refused(Exception):
    """The server's Status."""

    def __init__(self, status: dict):
        super().__init__(f"{status.get('code')} {status.get('reason')}: {status.get('message')}")
        self.code, self.reason, self.message = status.get("code"), status.get("reason"), status.get("message", "")


class Api:
    """A connection a thread, made anew after it broke. Whether to ask again is the caller's to decide."""

    def __init__(self, port: int, certificates: Certificates, user: str):
        self.port = port
        self.tls = ssl.create_default_context(cafile=str(certificates / "ca.crt"))
        self.tls.load_cert_chain(certificates / f"{user}.crt", certificates / f"{user}.key")
        self.mine = threading.local()

    def connect(self, timeout: float) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection("127.0.0.1", self.port, context=self.tls, timeout=timeout)

    def call(self, method: str, path: str, body: dict | None = None, kind: str = JSON, timeout: float = 30) -> dict:
        connection = getattr(self.mine, "connection", None) or self.connect(timeout)
        self.mine.connection = None
        connection.request(method, path, json.dumps(body) if body is not None else None, {"Content-Type": kind, "Accept": JSON})
        response = connection.getresponse()
        text = response.read()
        self.mine.connection = connection
        answer = json.loads(text) if text[:1] == b"{" else {"code": response.status, "message": text.decode(errors="replace")}
        if response.status >= 400:
            raise Refused(answer)
        return answer

    def get(self, path: str, **query) -> dict:
        return self.call("GET", f"{path}?{urlencode(query)}" if query else path)

    def post(self, path: str, body: dict) -> dict:
        return self.call("POST", path, body)

    def put(self, path: str, body: dict) -> dict:
        return self.call("PUT", path, body)

    def patch(self, path: str, body: dict, kind: str = MERGE) -> dict:
        return self.call("PATCH", path, body, kind)

    def delete(self, path: str, **options) -> dict:
        return self.call("DELETE", path, options or None)

    def pages(self, path: str, limit: int) -> Iterator[dict]:
        """A list, in parts of at most so many items."""
        query = {"limit": limit}
        while True:
            page = self.get(path, **query)
            yield page
            token = page["metadata"].get("continue")
            if not token:
                return
            query = {"limit": limit, "continue": token}

    def watch(self, path: str, revision: str, seconds: int, **query) -> Iterator[tuple[str, dict]]:
        """Events after this revision, until the server has had enough or so many seconds are over."""
        query = {"watch": "true", "resourceVersion": revision, "timeoutSeconds": seconds, **query}
        connection = self.connect(seconds + 10)
        try:
            connection.request("GET", f"{path}?{urlencode(query)}", headers={"Accept": JSON})
            response = connection.getresponse()
            if response.status >= 400:
                raise Refused(json.loads(response.read()))
            for line in response:
                event = json.loads(line)
                if event["type"] == "ERROR":
                    raise Refused(event["object"])
                yield event["type"], event["object"]
        finally:
            connection.close()


def names(page: dict) -> list[str]:
    return [it["metadata"]["name"] for it in page["items"]]
