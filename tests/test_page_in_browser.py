"""The page to explore attention by, in a browser: what is shown under the pointer is what the model attends to."""

import os
import re
import shutil

import numpy as np
import pytest
from problems import SMALL, fitted, make_ragged

from skattn import SelfAttentionClassifier
from skattn.inspection import AttentionPage

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
BROWSER = next(filter(None, map(shutil.which, BROWSERS)), None)
DRIVER = shutil.which("chromedriver")
X = make_ragged()[:4]
WORDS = "The dog chased the ball because it was </script><script>alert(1)</script> excited".split()
SIGNAL = np.array([[1.0, -3.5, 2.25, np.nan, 4.0, 0.5, 7.0], [np.nan, 1.0, np.nan, 2.0, 3.0, 5.0, 8.0]]).T


def skip_or_fail(reason):
    """Without a browser there is nothing to test, unless somebody has promised one."""
    if os.environ.get("SKATTN_BROWSER") == "1":
        pytest.fail(f"SKATTN_BROWSER=1 promises a browser, and {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    """A browser that keeps what it logs and what it asks for."""
    if BROWSER is None or DRIVER is None:
        skip_or_fail("no chromium and chromedriver are on the PATH")
    try:
        from selenium import webdriver
    except ImportError:
        skip_or_fail('selenium is not installed; pip install "skattn[browser]"')
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    quiet = ["background-networking", "component-update", "sync"]
    plain = ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-dev-shm-usage"]
    profile = f"--user-data-dir={tmp_path_factory.mktemp('profile')}"
    for argument in [*plain, *(f"--disable-{name}" for name in quiet), profile, "--window-size=1280,1000"]:
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield browser
    browser.quit()


@pytest.fixture
def opened(driver, tmp_path):
    """Open a page; at the end it must have neither complained nor asked for anything but itself."""
    paths = []

    def open_page(page):
        path = tmp_path / f"page{len(paths)}.html"
        page.save(path)
        paths.append(path.as_uri())
        driver.get(path.as_uri())
        return Screen(driver)

    driver.get("about:blank")
    for kind in ("browser", "performance"):
        driver.get_log(kind)
    yield open_page
    assert [] == [entry["message"] for entry in driver.get_log("browser")]
    requests = [
        re.search(r'"Network.requestWillBeSent".*?"url":"([^"]*)"', e["message"]) for e in driver.get_log("performance")
    ]
    asked = {found[1] for found in requests if found and not found[1].startswith("data:")}
    assert asked <= {*paths, "about:srcdoc", "about:blank"} and set(paths) <= asked


class Screen:
    """What a person does and reads."""

    def __init__(self, driver):
        self.driver = driver

    def find(self, selector):
        return self.driver.find_element("css selector", selector)

    def text(self, selector):
        """Words on the screen, after what was done has been drawn."""
        self.driver.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")
        return self.find(selector).text.replace("\u00a0", " ")

    def chosen(self, name):
        return self.driver.execute_script(f"return document.getElementById('{name}').selectedOptions[0].text")

    def choose(self, name, words):
        from selenium.webdriver.support.select import Select

        Select(self.find(f"#{name}")).select_by_visible_text(words)

    def hover(self, selector, x=0.5, y=0.5, click=False):
        """Move to a place in an element, from its upper left corner as shares of its size."""
        from selenium.webdriver import ActionChains

        element = self.find(selector)
        # To its upper part, for an element that is higher than the window.
        self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
        width, height = element.size["width"], element.size["height"]
        moved = ActionChains(self.driver, duration=0).move_to_element_with_offset(
            element, round((x - 0.5) * width), round((y - 0.5) * height)
        )
        (moved.click() if click else moved).perform()

    def over_cell(self, row, column, n, click=False):
        """Move over a weight of the map."""
        canvas = self.find("#map-canvas")
        edge, size = float(canvas.get_attribute("data-edge")), canvas.size
        side = size["width"] - edge
        x, y = edge + (column + 0.5) / n * side, (row + 0.5) / n * side
        self.hover("#map-canvas", x / size["width"], y / size["height"], click)

    def over_step(self, step, n, click=False):
        """Move over a step of the signal."""
        width = self.find("#signal-canvas").size["width"]
        self.hover("#signal-canvas", (56 + (step + 0.5) / n * (width - 66)) / width, 0.3, click)

    def keys(self, *keys):
        from selenium.webdriver import ActionChains

        ActionChains(self.driver).send_keys(*keys).perform()

    def focus(self, selector):
        self.driver.execute_script("arguments[0].focus()", self.find(selector))


def percent(weight):
    """A weight in the words of the page."""
    number = 100 * weight
    return f"{number:.1f} %" if number >= 1 else f"{number:.2f} %" if number >= 0.1 else f"{number:.3f} %"


@pytest.fixture(scope="module")
def model():
    return fitted(SelfAttentionClassifier(**SMALL | {"n_layers": 2, "n_estimators": 2}), make_ragged())


def test_hovering_over_a_step_tells_what_it_attends_to(opened, model):
    screen = opened(AttentionPage.from_estimator(model, X))
    weights = model.attention_weights(X, layer=0, network=0)[0].mean(axis=0)
    n = len(weights)
    for step in (2, n - 1, 0):
        screen.over_step(step, n)
        assert f"Step {step}" == screen.text("#who")
        first, second, _ = order = np.argsort(-weights[step], kind="stable")[:3]
        name = {i: "itself" if i == step else f"step {i}" for i in order}
        expected = f"Attends most to {name[first]} with {percent(weights[step, first])}, then {name[second]} with"
        assert screen.text("#words").startswith(expected)
        line = screen.text("#most tbody tr:first-child")
        assert line.split("\n")[0].startswith(f"step {first} {percent(weights[step, first])}")


def test_layers_heads_networks_and_sequences_can_be_chosen(opened, model):
    screen = opened(AttentionPage.from_estimator(model, X))
    for sequence, network, layer, head in [(0, 1, 0, 1), (0, 1, 1, 0), (2, 0, 1, None), (3, 1, 1, 1)]:
        screen.choose("sequence", f"{sequence} ({len(X[sequence])} step{'s' * (len(X[sequence]) > 1)})")
        screen.choose("network", str(network))
        screen.choose("layer", str(layer))
        screen.choose("head", "mean of heads" if head is None else f"head {head}")
        weights = model.attention_weights(X, layer=layer, network=network)[sequence]
        weights = weights.mean(axis=0) if head is None else weights[head]
        n = len(weights)
        for row, column in [(n - 1, 0), (n // 2, n - 1)]:
            screen.over_cell(row, column, n)
            assert (f"Step {row}", f"to step {column}: {percent(weights[row, column])}") == (
                screen.text("#who"),
                screen.text("#pair"),
            )


def test_a_head_is_chosen_by_its_strip_too_which_tells_its_largest_weight(opened, model):
    screen = opened(AttentionPage.from_estimator(model, X[:1]))
    screen.over_step(3, len(X[0]))
    strip = '.head[data-layer="1"][data-head="1"]'
    most = model.attention_weights(X[:1], layer=1, network=0)[0][1, 3].max()
    assert ["layer 1 head 1", percent(most)] == screen.text(strip).split("\n")
    screen.find(strip).click()
    assert ("1", "head 1") == (screen.chosen("layer"), screen.chosen("head"))
    assert percent(most) in screen.text("#words")


def test_a_click_holds_a_step_so_that_single_weights_can_be_read(opened, model):
    from selenium.webdriver.common.keys import Keys

    screen, n = opened(AttentionPage.from_estimator(model, X[:1])), len(X[0])
    weights = model.attention_weights(X[:1], layer=0, network=0)[0].mean(axis=0)
    screen.over_step(2, n, click=True)
    for step in (5, 0):
        screen.over_step(step, n)
        assert ("Step 2 (held)", f"to step {step}: {percent(weights[2, step])}") == (
            screen.text("#who"),
            screen.text("#pair"),
        )
    screen.keys(Keys.ESCAPE)
    screen.over_step(7, n)
    assert ("Step 7", "") == (screen.text("#who"), screen.text("#pair"))


def test_keys_do_what_the_pointer_does(opened, model):
    from selenium.webdriver.common.keys import Keys

    screen, n = opened(AttentionPage.from_estimator(model, X[:1])), len(X[0])
    weights = model.attention_weights(X[:1], layer=0, network=0)[0].mean(axis=0)
    screen.focus("#step")
    screen.keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    assert "Step 2" == screen.text("#who")
    spoken = screen.find("#step").get_attribute("aria-valuetext")
    assert spoken.startswith("step 2. Attends most to")
    screen.focus("#signal")
    screen.keys(Keys.END, Keys.ARROW_LEFT)
    assert f"Step {n - 2}" == screen.text("#who")
    screen.keys(Keys.HOME)
    screen.focus("#map")
    screen.keys(Keys.ARROW_DOWN, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    assert ("Step 1", f"to step 3: {percent(weights[1, 3])}") == (screen.text("#who"), screen.text("#pair"))
    screen.keys(Keys.ENTER)
    assert "Step 1 (held)" == screen.text("#who")


def test_a_touch_chooses_without_holding(opened, model):
    from selenium.webdriver.common.actions.action_builder import ActionBuilder
    from selenium.webdriver.common.actions.pointer_input import PointerInput

    screen, n = opened(AttentionPage.from_estimator(model, X[:1])), len(X[0])
    canvas = screen.find("#signal-canvas")
    for step in (4, 8):
        actions = ActionBuilder(screen.driver, mouse=PointerInput("touch", "finger"), duration=0)
        shift = 56 + (step + 0.5) / n * (canvas.size["width"] - 66) - canvas.size["width"] / 2
        actions.pointer_action.move_to(canvas, round(shift), 0).pointer_down().pointer_up()
        actions.perform()
        assert f"Step {step}" == screen.text("#who")


def test_a_text_is_shaded_token_by_token_and_its_words_do_no_harm(opened):
    weights = np.random.default_rng(0).dirichlet(np.ones(len(WORDS)), size=(2, len(WORDS)))
    screen = opened(AttentionPage.from_weights([weights], labels=[WORDS], title="</title><b id=evil>x</b>"))
    assert "</title><b id=evil>x</b>" == screen.text("h1") == screen.driver.title
    assert [] == screen.driver.find_elements("css selector", "#evil")
    assert WORDS[8] == screen.text(".token:nth-child(9) b")
    screen.hover(".token:nth-child(7)")
    row = weights.mean(axis=0)[6]
    first = int(row.argmax())
    assert "“it” (token 6)" == screen.text("#who")
    assert percent(row[first]) in screen.text("#words")
    shares = [screen.text(f".token:nth-child({i + 1}) small") for i in range(len(WORDS))]
    assert [percent(weight) for weight in row] == shares
    assert not screen.find("#signal").is_displayed()
    # Darker is more.
    fills = [
        sum(
            map(
                int,
                re.findall(
                    r"\d+", screen.find(f".token:nth-child({i + 1}) b").value_of_css_property("background-color")
                )[:3],
            )
        )
        for i in np.argsort(-row)
    ]
    assert sorted(fills) == fills and fills[0] < fills[-1]


def test_tokens_of_a_stem_and_gaps_of_a_signal_are_told(opened):
    weights = np.random.default_rng(0).dirichlet(np.ones(3), size=(1, 3))
    spans = [[[0, 3], [3, 6], [6, 7]]]
    labels = [[f"{hour}:00" for hour in range(7)]]
    screen = opened(AttentionPage.from_weights([weights], signals=[SIGNAL], spans=spans, labels=labels))
    screen.over_step(4, 7)
    assert "Steps 3–5 (3:00 – 5:00)" == screen.text("#who")
    assert f"with {percent(weights[0, 1].max())}" in screen.text("#words")
    assert "Sequence 0: 7 steps in 3 rows" == screen.text("#sequence-title")
    # The line has its colour in the first plot, y from 14 to 74, around every step but the one whose value is missing.
    count = """
        const canvas = document.getElementById("signal-canvas"), scale = window.devicePixelRatio;
        const width = canvas.clientWidth, plot = width - 66, wide = canvas.width;
        const data = canvas.getContext("2d").getImageData(0, 14 * scale, wide, 60 * scale).data;
        return [0, 1, 2, 3, 4, 5, 6].map((step) => {
          const x = Math.round((56 + (step + 0.5) / 7 * plot) * scale);
          let n = 0;
          for (let i = 0; i < data.length; i += 4) {
            const isNear = Math.abs(i / 4 % wide - x) < 5, isDark = data[i] + data[i + 1] + data[i + 2] < 150;
            n += isNear && isDark && data[i + 3] > 200;
          }
          return n;
        });"""
    screen.text("#who")
    inked = screen.driver.execute_script(count)
    assert inked[3] == 0 and min(inked[:3] + inked[4:]) > 0


def test_what_is_small_and_what_is_hidden_are_told_apart(opened):
    screen = opened(AttentionPage.from_weights([np.array([[1.0, 0.0], [1 - 1e-9, 1e-9]])]))
    screen.over_cell(0, 1, 2)
    assert "to step 1: 0 %" == screen.text("#pair")
    screen.over_cell(1, 1, 2)
    assert "to step 1: < 0.003 %" == screen.text("#pair")
    assert "Attends most to step 0 with 100.0 %, then itself with < 0.003 %." == screen.text("#words")


def test_features_can_be_chosen(opened):
    signals = [np.random.default_rng(0).normal(size=(5, 7))]
    screen = opened(AttentionPage.from_weights([np.full((1, 5, 5), 0.2)], signals=signals))
    assert "Features: 4 of 7 shown" == screen.text("#features-summary")
    height = screen.find("#signal-canvas").size["height"]
    screen.find("#features-summary").click()
    screen.find("#feature-list label:last-child input").click()
    assert "Features: 5 of 7 shown" == screen.text("#features-summary")
    assert height < screen.find("#signal-canvas").size["height"]


def test_several_pages_stand_in_one_notebook(opened, driver, tmp_path, model):
    from selenium.webdriver.support.ui import WebDriverWait

    frames = "".join(AttentionPage.from_estimator(model, X[i : i + 1])._repr_html_() for i in (0, 1))
    path = tmp_path / "page0.html"

    class Notebook:
        def save(self, path):
            path.write_text(f"<!DOCTYPE html><link rel='icon' href='data:,'><body>{frames}", encoding="utf-8")

    screen = opened(Notebook())
    assert path.exists()
    for number, steps in enumerate(X[:2]):
        # Frames that nobody sees are not drawn.
        driver.execute_script(f"document.querySelectorAll('iframe')[{number}].scrollIntoView()")
        driver.switch_to.frame(number)
        WebDriverWait(driver, 20).until(lambda _: screen.find("#signal-canvas").size["width"] > 150)
        screen.over_step(len(steps) - 1, len(steps))
        assert f"Step {len(steps) - 1}" == screen.text("#who")
        driver.switch_to.default_content()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1280])
def test_nothing_is_cut_off_and_the_screen_may_be_dark_or_narrow(opened, driver, model, width, scheme):
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 2, "mobile": False}
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    try:
        screen = opened(AttentionPage.from_estimator(model, X, feature_names=["a" * 99, "b", "c"], title="word" * 40))
        assert width >= driver.execute_script("return document.documentElement.scrollWidth")
        shade = screen.find("body").value_of_css_property("background-color")
        assert (max(map(int, re.findall(r"\d+", shade)[:3])) < 100) == (scheme == "dark")
        assert driver.get_screenshot_as_png().startswith(b"\x89PNG")
    finally:
        driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_a_page_that_begins_hidden_is_drawn_once_it_is_shown(opened, driver, model):
    from selenium.webdriver.support.ui import WebDriverWait

    frame = AttentionPage.from_estimator(model, X[:1])._repr_html_()

    class Folded:
        def save(self, path):
            path.write_text(f"<link rel='icon' href='data:,'><div hidden>{frame}</div>", encoding="utf-8")

    screen = opened(Folded())
    driver.execute_script("document.querySelector('div').hidden = false")
    driver.switch_to.frame(0)
    WebDriverWait(driver, 20).until(lambda _: screen.find("#signal-canvas").size["width"] > 150)
    screen.over_step(4, len(X[0]))
    assert "Step 4" == screen.text("#who")
    driver.switch_to.default_content()
