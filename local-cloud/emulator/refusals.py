"""A registry that refuses a push: for rehearsals, told by a file in the --run folder.

The file `refused-push` has the end of an address, such as `/manifests/v1-arm64`. A manifest is refused there as by a
registry in trouble: when all of its layers have come.
"""

from ministack.services import ecr

from emulator import settings, upstream

FILE = "refused-push"

upstream.require(ecr, "_v2_put_manifest", "_registry_error")


@upstream.replaces(ecr, "_v2_put_manifest")
def put_manifest(name, ref, headers, body):
    """Upstream: every manifest that is well-formed."""
    try:
        refused = (settings.current().run / FILE).read_text().strip()
    except FileNotFoundError:
        refused = ""
    if refused and f"/{name}/manifests/{ref}".endswith(refused):
        return ecr._registry_error(403, "DENIED", "refused for a rehearsal", {"tag": ref})
    return put_manifest.original(name, ref, headers, body)
