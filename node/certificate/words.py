"""What codes mean in words. A genesis holds the codes alone; their words are in the catalogue file that it was made from."""

from __future__ import annotations

from functools import cache

from huzheng.v1 import catalogue_pb2 as pb

from node.catalogue_file import CatalogueFile, Title, default_catalogue


def code_title(resource: str, spec: pb.FieldSpec, code: str) -> Title | None:
    """What a code of a field of the genesis means, if the field is that of the catalogue that comes with Huzheng.

    A field that differs in anything, were it in one code more, may mean something else by the same code. So None then, and
    if the field has no codes.
    """
    if code not in spec.codes:
        return None
    catalogue = _catalogue()
    code_list = catalogue.code_lists.get((resource, spec.name))
    known = (s for r in catalogue.resources if r.name == resource for s in r.fields)
    if code_list is None or spec not in known:
        return None
    return catalogue.code_titles[code_list].get(code)


@cache
def _catalogue() -> CatalogueFile:
    return default_catalogue()
