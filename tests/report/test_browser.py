"""The page in a real browser: headless Chromium as Debian packages it."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from tests.report import project

DESKTOP, PHONE = (1280, 900), (390, 844)
"""Width and height of the view in px."""

ELSEWHERE = "http://127.0.0.1:9/picture.png"

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-dev-shm-usage", "--hide-scrollbars"),
)

OVERFLOWING = """
const wide = innerWidth + 0.5;
return [...document.querySelectorAll('body *')].filter(e =>
  !e.closest('.wide table') && e.getBoundingClientRect().right > wide
).map(e => e.outerHTML.slice(0, 120));
"""

SCROLLING = """
return [...document.querySelectorAll('.wide')].some(e => e.scrollWidth > e.clientWidth);
"""

LOW_CONTRAST = """
// WCAG 2.2, success criterion 1.4.3.
const rgb = css => css.match(/[\\d.]+/g).map(Number);
const linear = s => s <= 0.04045 ? s / 12.92 : ((s + 0.055) / 1.055) ** 2.4;
const light = c => linear(c / 255);
const luminance = c => 0.2126 * light(c[0]) + 0.7152 * light(c[1]) + 0.0722 * light(c[2]);
const behind = e => {
  for (; e; e = e.parentElement) {
    const c = rgb(getComputedStyle(e).backgroundColor);
    if (c.length === 3 || c[3] === 1) return c;
  }
  return [255, 255, 255];
};
const own = e => [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
return [...document.querySelectorAll('body *')].filter(own).map(e => {
  const style = getComputedStyle(e);
  const ink = rgb(e.namespaceURI.endsWith('svg') ? style.fill : style.color);
  const [a, b] = [luminance(ink), luminance(behind(e))];
  return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), e.outerHTML.slice(0, 120)];
}).filter(found => found[0] < 4.5);
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    """Chromium with a fresh profile, which logs what pages request and what the console says."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not driver:
        message = "Debian's packages chromium and chromium-driver are not installed"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    started = webdriver.Chrome(options=options, service=Service(driver))
    try:
        yield started
    finally:
        started.quit()


@pytest.fixture(scope="module")
def page_file(html: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "index.html"
    path.write_text(html, encoding="utf-8")
    return path


def open_page(browser: webdriver.Chrome, path: Path, size: tuple[int, int] = DESKTOP) -> None:
    width, height = size
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600},
    )
    for kind in ("performance", "browser"):
        browser.get_log(kind)  # what came before is not this page's
    browser.get(path.as_uri())


def requested(browser: webdriver.Chrome) -> list[str]:
    """Addresses that were asked for since the page was opened, pictures in the page left out."""
    events: list[dict[str, Any]] = [
        json.loads(entry["message"])["message"] for entry in browser.get_log("performance")
    ]
    sent = [e["params"] for e in events if e["method"] == "Network.requestWillBeSent"]
    urls = [params["request"]["url"] for params in sent]
    return [url for url in urls if not url.startswith("data:")]


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_it_shows_everything_and_asks_for_nothing(
    browser: webdriver.Chrome, page_file: Path, size: tuple[int, int]
) -> None:
    open_page(browser, page_file, size)
    assert requested(browser) == [page_file.as_uri()]
    assert browser.get_log("browser") == []
    assert browser.execute_script("return innerWidth") == size[0]
    sizes = browser.execute_script("return [...document.images].map(i => i.naturalWidth)")
    assert len(sizes) > 30
    assert set(sizes) == {128}
    assert browser.title == "faceshards report"


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_nothing_is_wider_than_the_view(
    browser: webdriver.Chrome, page_file: Path, size: tuple[int, int]
) -> None:
    open_page(browser, page_file, size)
    assert browser.execute_script("return document.documentElement.scrollWidth") == size[0]
    assert browser.execute_script(OVERFLOWING) == []
    scrolls = (
        "return [...document.querySelectorAll('.wide')].map(e => e.scrollWidth > e.clientWidth)"
    )
    assert any(browser.execute_script(scrolls)) == (size is PHONE)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out(browser: webdriver.Chrome, page_file: Path, scheme: str) -> None:
    feature = {"name": "prefers-color-scheme", "value": scheme}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    open_page(browser, page_file)
    paper = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (paper == "rgb(252, 252, 250)") == (scheme == "light")
    assert browser.execute_script(LOW_CONTRAST) == []


def test_the_policy_holds_even_if_markup_got_in(
    browser: webdriver.Chrome, page_file: Path, html: str
) -> None:
    """And without the policy these very checks find what got in: they can fail."""
    bad = f"<script>document.title = 'owned'</script><img src='{ELSEWHERE}'>"
    injected = html.replace("<main>", f"<main>{bad}")
    guarded, open_to_all = (page_file.with_name(f"{n}.html") for n in ("guarded", "open"))
    guarded.write_text(injected, encoding="utf-8")
    open_page(browser, guarded)
    assert browser.title == "faceshards report"
    assert {entry["level"] for entry in browser.get_log("browser")} == {"SEVERE"}

    without = injected.replace("http-equiv=", "data-was=")
    open_to_all.write_text(without, encoding="utf-8")
    open_page(browser, open_to_all)
    assert browser.title == "owned"
    assert ELSEWHERE in requested(browser)


def test_hostile_names_are_shown_as_they_are(browser: webdriver.Chrome, page_file: Path) -> None:
    open_page(browser, page_file)
    shown = browser.execute_script("return document.querySelector('#rejects').innerText")
    assert project.HOSTILE in shown
