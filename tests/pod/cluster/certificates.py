"""The keys of a cluster that lives for one run: an authority, and what it signs."""

from pathlib import Path

from kubelet.node import command

DAYS = 2
SERVER_NAMES = (
    "IP:127.0.0.1,IP:10.0.0.1,DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,"
    "DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local"
)


class Certificates:
    """`NAME.crt` and `NAME.key` in a directory; `ca` signs the others."""

    def __init__(self, directory: Path):
        self.directory = directory
        directory.mkdir(parents=True)
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        self.key = key
        command("openssl", "req", "-x509", *key, "-keyout", self / "ca.key", "-out", self / "ca.crt", "-days", DAYS, "-subj", "/CN=ca")
        self.sign("server", "/CN=kube-apiserver", f"subjectAltName={SERVER_NAMES}\nextendedKeyUsage=serverAuth")
        for name, subject in [
            ("admin", "/O=system:masters/CN=admin"),
            ("controller-manager", "/CN=system:kube-controller-manager"),
            ("node", "/O=system:nodes/CN=system:node:node"),
        ]:
            self.sign(name, subject, "extendedKeyUsage=clientAuth")
        command("openssl", "genrsa", "-out", self / "accounts.key", 2048)
        command("openssl", "rsa", "-in", self / "accounts.key", "-pubout", "-out", self / "accounts.pub")

    def __truediv__(self, name: str) -> Path:
        return self.directory / name

    def sign(self, name: str, subject: str, extensions: str) -> None:
        (self / f"{name}.ext").write_text(extensions)
        request = self / f"{name}.csr"
        command("openssl", "req", *self.key, "-keyout", self / f"{name}.key", "-out", request, "-subj", subject)
        authority = ["-CA", self / "ca.crt", "-CAkey", self / "ca.key", "-CAcreateserial", "-days", DAYS]
        command("openssl", "x509", "-req", "-in", request, *authority, "-extfile", self / f"{name}.ext", "-out", self / f"{name}.crt")
