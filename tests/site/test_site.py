"""The site that `make docs` builds: every link leads somewhere, nothing is fetched from elsewhere, and a browser shows every
figure and formula, on a wide screen and on a phone."""

import functools
import http.server
import json
import re
import shutil
import subprocess
import sys
import threading
from html.parser import HTMLParser
from pathlib import Path
from typing import ClassVar
from urllib.parse import unquote, urlsplit

import pytest

from subcritic.publishing import page as results
from subcritic.studies import STUDIES

PROJECT = Path(__file__).parents[2]
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the site, built with warnings as errors, and beside it one that looks like the builder's own."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "site-source").mkdir()
    (folder / "site-source" / "thesis.tex").touch()
    done = build(folder / "site")
    assert not done.returncode, done.stderr
    yield folder / "site"
    shutil.rmtree(folder)


def build(folder):
    command = [sys.executable, PROJECT / "docs" / "site" / "build.py", folder]
    return subprocess.run(command, capture_output=True, text=True)


def test_nothing_but_the_site_is_written_or_removed(site):
    assert {path.name for path in site.parent.iterdir()} == {"site", "site-source"}
    assert (site.parent / "site-source" / "thesis.tex").exists()


def test_a_folder_with_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").touch()
    assert "holds something else than a site" in build(tmp_path).stderr
    assert (tmp_path / "thesis.tex").exists()


def test_every_document_is_in_the_navigation():
    """The build fails too where one is not; this says which line is missing."""
    listed = re.findall(
        r"^- \[.*?\]\((\w[\w-]*\.md)\)", (PROJECT / "docs" / "README.md").read_text(), re.MULTILINE
    )
    assert {path.name for path in (PROJECT / "docs").glob("*.md")} == {*listed, "README.md"}


class Page(HTMLParser):
    """What a page links to, shows and fetches, and the ids in it; its text outside of code."""

    def __init__(self, path):
        super().__init__()
        self.links, self.fetched, self.ids, self.images, self.text = [], [], set(), [], []
        self.formulae, self.code = 0, 0
        self.feed(path.read_text())

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.ids |= {given.get("id")}
        self.formulae += tag == "math"
        self.code += tag in ("code", "pre", "script", "style")
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        elif tag == "link" and given.get("rel") not in ("canonical", "next", "prev"):
            self.fetched.append(given["href"])
        if "src" in given:
            (self.images if tag == "img" else self.fetched).append(given["src"])

    def handle_endtag(self, tag):
        self.code -= tag in ("code", "pre", "script", "style")

    def handle_data(self, data):
        if not self.code:
            self.text.append(data)


@pytest.fixture(scope="module")
def pages(site):
    return {path: Page(path) for path in sorted(site.rglob("*.html"))}


def local(page, link):
    """The file that a link of a page leads to, and the fragment; None for one that leads out of the site."""
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return None, ""
    return (page.parent / unquote(parts.path)).resolve() if parts.path else page, unquote(parts.fragment)


def test_every_link_leads_to_a_file_and_every_fragment_to_a_place_in_it(pages):
    missing, followed = [], 0
    for path, page in pages.items():
        for link in (*page.links, *page.images, *page.fetched):
            target, fragment = local(path, link)
            if target is not None:
                followed += 1
                there = target.is_file() and (
                    not fragment or target.suffix != ".html" or fragment in pages[target].ids
                )
                missing += [] if there else [f"{path.name}: {link}"]
    assert not missing
    assert followed > 10_000


def test_nothing_is_fetched_from_elsewhere(site, pages):
    assert not [link for page in pages.values() for link in (*page.fetched, *page.images) if "//" in link]
    styles = "".join(path.read_text() for path in site.rglob("*.css"))
    assert "url(" in styles
    assert not re.findall(r"url\([\"']?\s*(?:https?:)?//[^)]*|@import[^;]*", styles)


def test_every_study_has_a_page_with_its_published_figures(site, pages):
    published = results.in_order(PROJECT / "results" / "published")
    figures = 0
    for name, study in STUDIES.items():
        page = pages[site / "studies" / f"{name}.html"]
        shown = {Path(unquote(link)).name for link in page.images}
        assert study.question in " ".join(page.text)
        for folder, facts in published:
            if name in facts["studies"] and study.page == results.PAGE:
                for file in study.shown.values():
                    if file.path.endswith(".png") and (folder / Path(file.path).name).is_file():
                        figures += 1
                        assert any(link.startswith(Path(file.path).stem) for link in shown), name
    assert figures > 20


def test_formulae_are_formulae_and_nothing_is_left_of_their_source(pages):
    for path, page in pages.items():
        if path.parts[-2] in ("docs", "studies", "api"):
            text = "".join(page.text)
            assert not re.search(r"\$|\\[a-z]|\{\w+\}|:::", text), path
    formulae = {path.name: page.formulae for path, page in pages.items()}
    assert all(formulae[f"{name}.html"] for name in ("theory", "reading", "proofs"))


# Opens every page that links lead to, wide and narrow, and tells the server what is wrong with it.
CRAWLER = """<!doctype html><body><script>
(async () => {
  const seen = new Set(["index.html"]), queue = ["index.html"], wrong = [];
  let images = 0, formulae = 0;
  const frame = document.createElement("iframe");
  document.body.append(frame);
  try {
    while (queue.length) {
      const path = queue.shift();
      for (const width of [1400, 390]) {
        frame.style = `border: 0; height: 900px; width: ${width}px`;
        if (width === 1400) await new Promise(loaded => { frame.onload = loaded; frame.src = path; });
        const inside = frame.contentDocument, say = text => wrong.push(`${path} at ${width}: ${text}`);
        if (inside.scrollingElement.scrollWidth > width) say(`is ${inside.scrollingElement.scrollWidth} wide`);
        for (const image of inside.images) {
          images += 1;
          if (!image.complete || !image.naturalWidth) say(`image ${image.src}`);
        }
        for (const formula of inside.querySelectorAll("math")) {
          formulae += 1;
          const box = formula.getBoundingClientRect();
          if (formula.querySelector("merror") || !box.width || !box.height) say(`formula ${formula.textContent}`);
        }
      }
      for (const link of frame.contentDocument.links) {
        const target = new URL(link.href), name = target.pathname.slice(1);
        if (target.origin === location.origin && name.endsWith(".html") && !seen.has(name)) {
          seen.add(name);
          queue.push(name);
        }
      }
    }
  } catch (error) { wrong.push(String(error)); }
  await fetch("/told", {method: "POST", body: JSON.stringify({pages: [...seen], images, formulae, wrong})});
})();
</script>"""


class Server(http.server.SimpleHTTPRequestHandler):
    """Serves the site and the page that crawls it; keeps what that page tells, and what was not found."""

    told = threading.Event()
    report: ClassVar = {}
    missing: ClassVar = []

    def do_GET(self):
        if self.path == "/crawler":
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(CRAWLER.encode())
        else:
            super().do_GET()

    def do_POST(self):
        Server.report = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(204)
        self.end_headers()
        Server.told.set()

    def send_error(self, code, *more):
        Server.missing.append(f"{code} {self.path}")
        super().send_error(code, *more)

    def log_message(self, *about):
        pass


@pytest.mark.skipif(not CHROMIUM, reason="needs Chromium")
def test_a_browser_shows_every_page_figure_and_formula(site, pages, tmp_path):
    handler = functools.partial(Server, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browser = subprocess.Popen(
            [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
             "--disable-background-networking", "--disable-component-update", "--disable-sync",
             "--disable-dev-shm-usage", f"--user-data-dir={tmp_path}", "--remote-debugging-port=0",
             f"http://127.0.0.1:{server.server_port}/crawler"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            assert Server.told.wait(300), "the browser told nothing"
        finally:
            browser.terminate()
            browser.wait()
            server.shutdown()
    assert Server.report["wrong"] == []
    assert [path for path in Server.missing if "favicon" not in path] == []
    # The search opens from its field, not by a link; the list of all code has no link to it.
    unlinked = {site / "search.html", site / "_modules" / "index.html"}
    assert {site / name for name in Server.report["pages"]} | unlinked == set(pages)
    assert Server.report["images"] > 200 and Server.report["formulae"] > 200
