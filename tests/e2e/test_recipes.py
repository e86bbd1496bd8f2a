"""docs/RECIPES.md: each recipe is cooked as it is printed."""

import re

import pytest
from examples import blocks, client_source, run_console, run_python
from process import ROOT

TEXT = (ROOT / "docs" / "RECIPES.md").read_text()


def recipes():
    """(title, text) of each."""
    parts = re.split(r"^## ", TEXT, flags=re.MULTILINE)[1:]
    return [(part.splitlines()[0], part) for part in parts]


def anchor(title):
    return re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-")


@pytest.mark.parametrize("title,text", recipes(), ids=[anchor(title) for title, _ in recipes()])
def test_a_recipe_does_what_it_says(title, text, start_server, tmp_path):
    """Its blocks in order, commands and Python, against a server of its own."""
    port, names, checked = start_server().port, {}, 0
    run_python(client_source(), port, names)
    for language, block in blocks(text, "console", "python"):
        if language == "console":
            run_console(block, port, tmp_path)
            checked += 1
        else:
            checked += run_python(block, port, names)
    assert checked > 0


@pytest.mark.parametrize("document", ["README.md", "docs/RECIPES.md"])
def test_every_recipe_is_in_the_lists(document):
    """Of the README and of the page itself; and no link leads nowhere."""
    text = (ROOT / document).read_text()
    links = re.findall(r"\]\((?:docs/RECIPES\.md)?#([^)]*)\)", text)
    assert [link for link in links if link in {anchor(title) for title, _ in recipes()}] == [
        anchor(title) for title, _ in recipes()]
    if document != "README.md":
        assert len(links) == len(recipes())
