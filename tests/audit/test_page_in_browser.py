"""The page as a person meets it, in a browser without a window."""

import csv
import json

import numpy as np
import pytest
import torch

from tests.audit.browser import Browser, find_browser
from tests.audit.made import HOSTILE, empty_audit, made_audit

# the cards that are shown, by the index of their sample
SHOWN = "[...document.querySelectorAll('.card:not([hidden])')].map((card) => +card.dataset.index)"

# what a screen reader calls the controls that have no name
UNNAMED = """[...document.querySelectorAll("button, input, select, summary, [tabindex='0'], svg")]
    .filter((element) => !(element.textContent.trim() || element.ariaLabel || element.ariaHidden))
    .map((element) => element.outerHTML)"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    command = find_browser()
    if command is None:
        pytest.skip("no browser: install chromium, or name one in PML_AHSML_BROWSER")
    browser = Browser(command, tmp_path_factory.mktemp("browser"))
    yield browser
    browser.close()


@pytest.fixture
def show(browser, tmp_path):
    """Shows the page of an audit; afterwards nothing must have gone wrong in it."""

    def show_page(audit, width=1400, dark=False, **options):
        path = tmp_path / "audit.html"
        audit.to_html(path, **options)
        browser.open(path, width, dark=dark)
        return path

    yield show_page
    browser.run("localStorage.clear()")
    check_no_harm(browser)


def check_no_harm(browser):
    """No error, no refusal by the policy, no dialogue, and nothing loaded from elsewhere."""
    kinds = ("Runtime.exceptionThrown", "Log.entryAdded", "Page.javascriptDialogOpening")
    assert [event for event in browser.events if event.get("method") in kinds] == []
    urls = [
        event["params"]["request"]["url"]
        for event in browser.events
        if event.get("method") == "Network.requestWillBeSent"
    ]
    assert [url for url in urls if not url.startswith(("file:", "data:", "blob:"))] == []
    assert sum(url.startswith("file:") for url in urls) >= 1


def texts(browser, selector):
    return browser.run(
        f"[...document.querySelectorAll({json.dumps(selector)})].map((e) => e.textContent)"
    )


def choose(browser, name, value):
    """Set a control, as a person does."""
    browser.run(
        f"""(() => {{
            const control = document.getElementById({json.dumps(name)});
            control.value = {json.dumps(str(value))};
            for (const kind of ["input", "change"]) control.dispatchEvent(new Event(kind));
        }})()"""
    )


def click(browser, selector):
    browser.run(f"document.querySelector({json.dumps(selector)}).click()")


def tick(browser, index, verdict):
    click(browser, f".card[data-index='{index}'] .verdict.{verdict}")


def read(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def download(browser):
    for old in browser.downloads.glob("*"):
        old.unlink()
    click(browser, "#download")
    return browser.downloaded("verdicts.csv")


def hostile_audit():
    count = len(HOSTILE)
    return made_audit(
        3 * count,
        count,
        class_names=HOSTILE,
        sample_names=HOSTILE * 3,
        trust=torch.zeros(3 * count),
        labels=torch.arange(3 * count) % count,
        is_judged=torch.ones(3 * count, dtype=torch.bool),
    )


def test_hostile_names_are_shown_as_they_are(browser, show):
    audit = hostile_audit()
    show(audit, texts=HOSTILE * 3, title="</title><script>alert(0)</script>")
    assert browser.run("document.scripts.length") == 2
    assert browser.run("document.querySelectorAll('main script, main style, iframe').length") == 0
    assert browser.run("document.title") == "</title><script>alert(0)</script>"
    assert texts(browser, "h1") == ["</title><script>alert(0)</script>"]
    expected = [name or "(no name)" for name in HOSTILE]
    assert texts(browser, ".card-labels .given") == expected * 3
    cut = [name if len(name) <= 200 else name[:199] + "…" for name in expected]
    assert texts(browser, ".card-name .name") == cut * 3
    assert [text[:500] for text in texts(browser, "blockquote")] == [n[:500] for n in expected] * 3
    # in the table of classes as well, all of them
    click(browser, "#classes .more")
    assert sorted(texts(browser, "#classes tbody th")) == sorted(expected)
    # names may be wide, the page is not
    assert browser.run("document.documentElement.scrollWidth") == 1400


def test_the_page_does_not_grow_wide_on_a_telephone(browser, show):
    show(hostile_audit(), width=400, texts=HOSTILE * 3)
    assert browser.run("document.documentElement.scrollWidth") == 400


def test_a_script_that_got_in_could_not_run(browser, show):
    show(made_audit())
    browser.run("""(() => {
        const script = document.createElement("script");
        script.textContent = "window.ran = true";
        document.body.append(script);
        const image = document.createElement("img");
        image.setAttribute("onerror", "window.ran = true");
        image.src = "data:image/png;base64,AAAA";
        document.body.append(image);
    })()""")
    browser.run("new Promise((done) => setTimeout(done, 200))")
    assert browser.run("window.ran === undefined")
    refused = [e for e in browser.events if e.get("method") == "Log.entryAdded"]
    assert len(refused) >= 1
    assert all("Content Security Policy" in e["params"]["entry"]["text"] for e in refused)
    browser.events[:] = [e for e in browser.events if e not in refused]


def test_numbers(browser, show):
    audit = made_audit()
    show(audit)
    values = texts(browser, ".tile-value")
    counts = (audit.is_doubted.sum(), audit.is_of_no_class.sum())
    assert values == ["25.0 %", *(str(int(count)) for count in counts), "3"]
    assert "90 % interval: 20.0 % to 31.0 %" in texts(browser, ".tile-note")[0]
    assert browser.run("document.querySelectorAll('.histogram rect.doubted').length") == 10
    assert texts(browser, "#classes tbody th") == [row.name for row in audit.classes()]
    pairs = [f"{row.given} → {row.suggested}" for row in audit.confusions()]
    shown = texts(browser, ".pair-names")
    assert len(shown) == 8
    assert all(text.startswith(pair) for text, pair in zip(shown, pairs, strict=False))
    click(browser, "#confusions .more")
    assert len(texts(browser, ".pair-names")) == len(pairs)


def test_cards(browser, show):
    audit = made_audit(sample_names=tuple(f"sample {i}" for i in range(60)))
    show(audit, limit=9)
    both = {row.index: row for row in audit.suspects() + audit.of_no_class()}
    order = sorted(both, key=lambda i: float(audit.trust[i]))[:9]
    assert browser.run(SHOWN) == order
    for i in order:
        card = f".card[data-index='{i}']"
        assert texts(browser, f"{card} .card-name") == [f"sample {i}"]
        assert texts(browser, f"{card} .given") == [both[i].given]
        other = [both[i].suggested] if both[i].suggested != both[i].given else []
        assert texts(browser, f"{card} .suggested") == other
        near = [j for j in audit.neighbours[i].tolist() if j >= 0]
        labels = [f"class {int(audit.labels[j])}" for j in near]
        assert texts(browser, f"{card} .neighbour-label") == labels
        agreeing = [name for name in labels if name == both[i].given]
        assert texts(browser, f"{card} .agrees .neighbour-label") == agreeing
        assert len(texts(browser, f"{card} .badge")) == both[i].is_of_no_class


def test_images(browser, show):
    images = np.random.default_rng(0).integers(0, 256, (60, 8, 8), dtype=np.uint8)
    show(made_audit(), images=images, limit=3)
    sizes = """[...document.querySelectorAll('.card-top img')].map(
        (image) => (image.loading = "eager", image.decode().then(() => image.naturalWidth)))"""
    assert browser.run(f"Promise.all({sizes})") == [8, 8, 8]


@pytest.mark.parametrize(
    ("control", "value", "keeps"),
    [
        ("filter-class", 2, lambda row: "class 2" in (row.given, row.suggested)),
        ("filter-kind", "no_class", lambda row: row.is_of_no_class),
        ("filter-kind", "doubted", lambda row: row.trust < 0.5),
        ("search", "CLASS 3", lambda row: "class 3" in (row.given, row.suggested)),
        ("search", "sample 17", lambda row: row.name == "sample 17"),
        ("search", "no such thing", lambda row: False),
    ],
)
def test_filters(browser, show, control, value, keeps):
    audit = made_audit(
        sample_names=tuple(f"sample {i}" for i in range(60)),
        is_judged=torch.ones(60, dtype=torch.bool),
    )
    show(audit)
    rows = {row.index: row for row in audit.suspects() + audit.of_no_class()}
    expected = sorted(i for i, row in rows.items() if keeps(row))
    choose(browser, control, value)
    assert sorted(browser.run(SHOWN)) == expected
    assert f"{len(expected)} of {len(rows)} samples shown" in texts(browser, "#count")
    click(browser, "#reset")
    assert sorted(browser.run(SHOWN)) == sorted(rows)


def test_a_pair_and_a_class_show_their_samples(browser, show):
    audit = made_audit(200)
    show(audit)
    pair = audit.confusions()[0]
    click(browser, ".pair")
    rows = [row for row in audit.suspects() + audit.of_no_class() if row.given == pair.given]
    expected = {row.index for row in rows if row.suggested == pair.suggested}
    assert set(browser.run(SHOWN)) == expected
    click(browser, "#tree summary")
    browser.run("new Promise((done) => setTimeout(done, 100))")
    name = texts(browser, "#tree .leaf .name")[0]
    click(browser, "#tree .leaf button")
    rows = audit.suspects() + audit.of_no_class()
    assert set(browser.run(SHOWN)) == {
        row.index for row in rows if name in (row.given, row.suggested)
    }


@pytest.mark.parametrize(
    ("order", "key"),
    [
        ("confidence", lambda row: -row.confidence),
        ("given", lambda row: row.given),
        ("index", lambda row: row.index),
        ("doubt", lambda row: row.trust),
    ],
)
def test_order(browser, show, order, key):
    audit = made_audit()
    show(audit)
    choose(browser, "sort", "index")
    choose(browser, "sort", order)
    rows = {row.index: row for row in audit.suspects() + audit.of_no_class()}
    keys = [key(rows[i]) for i in browser.run(SHOWN)]
    assert len(keys) == len(rows)
    digits = [round(value, 4) if isinstance(value, float) else value for value in keys]
    assert digits == sorted(digits)


def test_classes_are_sorted_and_searched(browser, show):
    audit = made_audit(300, 30)
    show(audit)
    click(browser, "#classes thead th:nth-child(1) button")
    assert texts(browser, "#classes tbody th") == [f"class {k}" for k in range(10)]
    click(browser, "#classes thead th:nth-child(3) button")
    sizes = sorted((row.size for row in audit.classes()), reverse=True)
    assert [int(size) for size in texts(browser, "#classes td:nth-child(3)")] == sizes[:10]
    choose(browser, "class-search", "s 17")
    assert texts(browser, "#classes tbody th") == ["class 17"]


def test_ticks_go_to_a_file_and_back_to_the_audit(browser, show):
    audit = hostile_audit()
    show(audit)
    given, suggested = audit.labels.tolist(), audit.suggested.tolist()
    ticked = {i: ("wrong", "right", "unsure")[i % 3] for i in range(30)}
    for i, verdict in ticked.items():
        tick(browser, i, verdict)
    # another class than the suggested one
    choice = "document.querySelector(\".card[data-index='0'] select\")"
    browser.run(f"{choice}.dispatchEvent(new Event('focus'))")
    other = next(k for k in range(20) if k not in (given[0], suggested[0]))
    browser.run(f"{choice}.value = '{other}'; {choice}.dispatchEvent(new Event('change'))")
    # taken back
    tick(browser, 29, ticked.pop(29))
    assert texts(browser, "#progress") == ["29 of 60 ticked"]

    path = download(browser)
    assert {int(row["index"]): row["verdict"] for row in read(path)} == ticked
    after = audit.apply(path)
    for i in range(60):
        verdict = ticked.get(i)
        expected = {"wrong": 0.0, "right": 1.0}.get(verdict, float(audit.trust[i]))
        assert float(after.trust[i]) == expected
        if i == 0:
            assert int(after.suggested[i]) == other
        else:
            assert int(after.suggested[i]) == (given[i] if verdict == "right" else suggested[i])


def test_ticks_survive_a_reload(browser, show):
    path = show(made_audit())
    first, second = browser.run(SHOWN)[:2]
    tick(browser, first, "right")
    tick(browser, second, "unsure")
    browser.open(path)
    assert browser.run(f"document.querySelector(\".card[data-index='{first}']\").classList.value")
    assert texts(browser, ".card.right .verdict[aria-pressed='true']") == ["Right"]
    assert texts(browser, ".card.unsure .verdict[aria-pressed='true']") == ["Unsure"]
    choose(browser, "filter-verdict", "right")
    assert browser.run(SHOWN) == [first]
    choose(browser, "filter-verdict", "none")
    assert not {first, second} & set(browser.run(SHOWN))


def test_ticks_of_another_audit_are_not_taken(browser, show):
    show(made_audit())
    tick(browser, browser.run(SHOWN)[0], "right")
    show(made_audit(seed=1))
    assert texts(browser, "#progress")[0].startswith("0 of ")


@pytest.mark.parametrize(
    "stored",
    [
        "not json",
        "{}",
        "null",
        "[1, null, [0]]",
        '[[99999, "right", null]]',
        '[["0", "<b>", 7]]',
        '[[%d, "wrong", 99]]',
        '[[%d, "__proto__", null]]',
    ],
)
def test_what_the_browser_kept_may_be_damaged(browser, show, stored):
    path = show(made_audit())
    first = browser.run(SHOWN)[0]
    tick(browser, first, "right")
    value = stored.replace("%d", str(first))
    browser.run(f"localStorage.setItem(localStorage.key(0), {json.dumps(value)})")
    browser.open(path)
    assert texts(browser, "#progress")[0].startswith("0 of ")
    tick(browser, first, "wrong")
    assert texts(browser, "#progress")[0].startswith("1 of ")


def test_keys(browser, show):
    show(made_audit())
    first, second, third = browser.run(SHOWN)[:3]
    focused = "+document.activeElement.dataset.index"
    browser.run(f"document.querySelector(\".card[data-index='{first}']\").focus()")
    browser.press("w")
    assert browser.run(focused) == second
    browser.press("R")
    assert browser.run(focused) == third
    browser.press("ArrowLeft")
    assert browser.run(focused) == second
    browser.press("r")  # takes it back, and stays
    assert browser.run(focused) == second
    browser.press("u")
    rows = {int(row["index"]): row["verdict"] for row in read(download(browser))}
    assert rows == {first: "wrong", second: "unsure"}
    # the keys are letters where one writes
    browser.run("document.getElementById('search').focus()")
    browser.press("r")
    assert browser.run("document.getElementById('search').value") == "r"
    assert texts(browser, "#progress")[0].startswith("2 of ")


@pytest.mark.parametrize("dark", [False, True])
def test_everything_has_a_name_and_can_be_read(browser, show, dark):
    show(made_audit(), dark=dark, texts=["some text"] * 60, limit=4)
    click(browser, ".verdict.wrong")
    assert browser.run(UNNAMED) == []
    low = browser.run(CONTRAST)
    assert low == []


# text whose contrast with what is behind it is below 4.5, WCAG 2.2 AA
CONTRAST = """(() => {
    const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    const rgba = (colour) => {
        canvas.clearRect(0, 0, 1, 1);
        canvas.fillStyle = colour;
        canvas.fillRect(0, 0, 1, 1);
        return [...canvas.getImageData(0, 0, 1, 1).data];
    };
    const light = (colour) => {
        const [r, g, b] = rgba(colour).map((value) => {
            const part = value / 255;
            return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const behind = (element) => {
        for (let e = element; e; e = e.parentElement) {
            const colour = getComputedStyle(e).backgroundColor;
            if (rgba(colour)[3] > 0) return colour;
        }
        return "white";
    };
    const low = [];
    for (const element of document.querySelectorAll("body *")) {
        const hasText = [...element.childNodes].some(
            (node) => node.nodeType === 3 && node.textContent.trim());
        const isOther = element.closest("script, option, :disabled, svg");
        if (!hasText || !element.checkVisibility() || isOther) continue;
        const [a, b] = [light(getComputedStyle(element).color), light(behind(element))];
        const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        if (contrast < 4.5) low.push([element.outerHTML.slice(0, 80), contrast]);
    }
    return low;
})()"""


def test_without_anything_to_look_at(browser, show):
    show(empty_audit())
    assert texts(browser, ".tile-value") == ["not known", "0", "0", "0"]
    assert browser.run(SHOWN) == []
    show(made_audit(class_distances=None, trust=torch.ones(60)), limit=0)
    assert texts(browser, "#confusions") == ["None."]
    assert not browser.run("document.getElementById('tree-panel').checkVisibility()")
