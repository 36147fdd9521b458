"""An image with a shell and little else, for the tests of the harness and for `helm test`."""

import io
import tarfile
import tempfile
from pathlib import Path

from kubelet.node import Node

TINY = "ms-test-tiny:1"
APPLETS = ["sh", "cat", "echo", "httpd", "id", "kill", "ls", "rm", "sleep", "stat", "test", "touch", "true", "false"]


def make(node: Node, busybox: Path, image: str = TINY, programs: list[Path] = []) -> None:
    with tempfile.NamedTemporaryFile(suffix=".tar") as file:
        with tarfile.open(file.name, "w") as tar:
            for program in [busybox, *programs]:
                tar.add(program, f"bin/{program.name}", filter=plain)
            for applet in APPLETS:
                link = tarfile.TarInfo(f"bin/{applet}")
                link.type, link.linkname = tarfile.SYMTYPE, "busybox"
                tar.addfile(link, io.BytesIO())
        node.podman("import", "--quiet", "--change", "ENV PATH=/bin", file.name, node.full(image))


def plain(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = 0
    info.mode = 0o755
    return info
