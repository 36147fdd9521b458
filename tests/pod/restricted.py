"""The restricted pod security standard (which includes the baseline), as a function of a pod's spec.

https://kubernetes.io/docs/concepts/security/pod-security-standards/
"""

VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
SYSCTLS = {
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range",
}
SELINUX_TYPES = {None, "", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"}


def breaches(pod: dict) -> list[str]:
    """Every rule that the pod breaks, in a few words each."""
    found = []
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(field):
            found.append(field)
    of_pod = pod.get("securityContext") or {}
    found += [f"sysctl {it['name']}" for it in of_pod.get("sysctls", []) if it["name"] not in SYSCTLS]
    found += _identity("pod", of_pod)
    for volume in pod.get("volumes", []):
        kinds = set(volume) - {"name"}
        found += [f"volume {volume['name']}: {kind}" for kind in kinds - VOLUMES]
    for container in pod["containers"] + pod.get("initContainers", []) + pod.get("ephemeralContainers", []):
        found += _container(container, of_pod)
    return found


def _container(container: dict, of_pod: dict) -> list[str]:
    name, own = container["name"], container.get("securityContext") or {}
    found = _identity(name, own)
    if own.get("privileged"):
        found.append(f"{name}: privileged")
    if own.get("allowPrivilegeEscalation") is not False:
        found.append(f"{name}: allowPrivilegeEscalation")
    capabilities = own.get("capabilities") or {}
    if "ALL" not in capabilities.get("drop", []):
        found.append(f"{name}: capabilities are not dropped")
    found += [f"{name}: capability {it}" for it in capabilities.get("add", []) if it != "NET_BIND_SERVICE"]
    if not own.get("runAsNonRoot", of_pod.get("runAsNonRoot")):
        found.append(f"{name}: runAsNonRoot")
    seccomp = (own.get("seccompProfile") or of_pod.get("seccompProfile") or {}).get("type")
    if seccomp not in ("RuntimeDefault", "Localhost"):
        found.append(f"{name}: seccompProfile {seccomp}")
    if own.get("procMount", "Default") != "Default":
        found.append(f"{name}: procMount")
    found += [f"{name}: hostPort {it['hostPort']}" for it in container.get("ports", []) if it.get("hostPort")]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        action = container.get(probe, {})
        if any(action.get(kind, {}).get("host") for kind in ("httpGet", "tcpSocket")):
            found.append(f"{name}: {probe} names a host")
    return found


def _identity(name: str, context: dict) -> list[str]:
    found = []
    if context.get("runAsUser") == 0:
        found.append(f"{name}: runs as root")
    if context.get("runAsNonRoot") is False:
        found.append(f"{name}: runAsNonRoot is false")
    selinux = context.get("seLinuxOptions") or {}
    if selinux.get("type") not in SELINUX_TYPES or selinux.get("user") or selinux.get("role"):
        found.append(f"{name}: seLinuxOptions")
    apparmor = (context.get("appArmorProfile") or {}).get("type", "RuntimeDefault")
    if apparmor not in ("RuntimeDefault", "Localhost"):
        found.append(f"{name}: appArmorProfile")
    if (context.get("windowsOptions") or {}).get("hostProcess"):
        found.append(f"{name}: hostProcess")
    return found
