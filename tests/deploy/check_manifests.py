"""The manifests of deploy/: valid by Kubernetes' own schemas, allowed by the Pod Security Standard "restricted", and with
commands that rooflens takes.

    python check_manifests.py ROOFLENS FOLDER
"""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import kubernetes_validate
import yaml

# With backoffLimitPerIndex, which came in 1.28 and is on where nothing switches it off since 1.29.
VERSIONS = ["1.29", "1.33"]


def restricted(pod, name):
    """https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted"""
    security = pod.get("securityContext", {})
    assert security.get("runAsNonRoot") is True, name
    assert security.get("runAsUser", 1) != 0, name
    assert security["seccompProfile"]["type"] in ("RuntimeDefault", "Localhost"), name
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        assert not pod.get(field), name
    kinds = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
    for volume in pod.get("volumes", []):
        assert set(volume) - {"name"} <= kinds, (name, volume)
    for container in pod["containers"]:
        own = container["securityContext"]
        assert own["allowPrivilegeEscalation"] is False, name
        assert own["capabilities"]["drop"] == ["ALL"] and not own["capabilities"].get("add"), name
        assert not own.get("privileged") and not any("hostPort" in p for p in container.get("ports", [])), name


def taken(rooflens, container):
    """The command is one that rooflens takes: its probe says what it would send as stripe 2."""
    text = " ".join(container.get("args", [])).split(";")[0].replace("TARGET", "http://server:8000/")
    words = shlex.split(text)
    if "probe" not in words:
        return subprocess.run([rooflens, *words[1:2], "--help"], check=True, capture_output=True)
    env = {**os.environ, "JOB_COMPLETION_INDEX": "2"}
    run = subprocess.run([rooflens, *words[1:], "--dry-run"], env=env, capture_output=True, text=True)
    assert run.returncode == 0 and "fingerprint" in run.stdout, run
    return run


def main():
    rooflens, folder = sys.argv[1], Path(sys.argv[2])
    found = {}
    for path in sorted(folder.glob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text()):
            for version in VERSIONS:
                kubernetes_validate.validate(document, version, strict=True)
            found[document["kind"], document["metadata"]["name"]] = document
            if document["kind"] == "Job":
                pod = document["spec"]["template"]["spec"]
                restricted(pod, path.name)
                for container in pod["containers"]:
                    taken(rooflens, container)
    job = found["Job", "rooflens-probe"]["spec"]
    pod = job["template"]["spec"]
    assert job["completionMode"] == "Indexed" and job["completions"] == job["parallelism"] == 4
    # Pod 0 is found by the name that the others are given.
    service = found["Service", pod["subdomain"]]
    assert service["spec"]["clusterIP"] == "None" and service["spec"]["publishNotReadyAddresses"]
    port = service["spec"]["ports"][0]["port"]
    command = pod["containers"][0]["args"][0]
    assert f"--meet rooflens-probe-0.{pod['subdomain']}:{port}" in command, command
    assert f"auto/{job['completions']}" in command
    # All pods write to one volume.
    claims = {v["persistentVolumeClaim"]["claimName"] for v in pod["volumes"]}
    for claim in claims:
        assert found["PersistentVolumeClaim", claim]["spec"]["accessModes"] == ["ReadWriteMany"]
    print(f"{len(found)} objects are valid for Kubernetes {', '.join(VERSIONS)}")


main()
