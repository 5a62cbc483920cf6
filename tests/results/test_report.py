"""The report holds all it needs, shows user's words as words, and works in a real browser."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from janus_sim.errors import InputError
from janus_sim.record import Record
from janus_sim.results import (
    report,
    report_charts,
    report_shown,
    report_table,
    report_time,
    seeds,
    store,
    tables,
)
from janus_sim.results.report_shown import Shown
from janus_sim.results.result import Result
from janus_sim.results.spread import Spread, spread

HOSTILE = "<img src=x onerror=alert(1)></script><b>$title %{x}"
FLAGS = (
    "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --window-size=1280,1000"
)


@pytest.fixture
def results(made: Callable[..., Record], scenario: dict[str, object]) -> list[Result]:
    return [
        Result(made(policy, layers=2), scenario | {"name": policy, "policy": policy, "baseline": not place})
        for place, policy in enumerate(("expert_centric", "data_centric"))
    ]


@pytest.fixture
def folder(results: list[Result], tmp_path: Path) -> Path:
    target = tmp_path / "results"
    store.save(results, target, tables.add_speedup(tables.summary(results), "expert_centric"))
    (target / "inputs").mkdir()
    (target / "inputs" / "experiment.yaml").write_text(f"# {HOSTILE}\nname: made\n")
    return target


def data_of(page: str) -> dict[str, Any]:
    """Return the charts of a page."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found
    return dict(json.loads(found[1]))


def test_the_page_has_each_chart_the_table_and_the_files(folder: Path) -> None:
    page = report.write(folder).read_text()
    assert list(data_of(page)) == ["speedup", "where", "path", "waterfall0", "links", "timeline"]
    assert page.count("<tr>") == 3
    assert "data_centric is" in page
    assert "name: made" in page
    assert len(page) < 5.5e6


def test_the_page_is_the_same_twice_and_asks_nothing_of_a_network(folder: Path, tmp_path: Path) -> None:
    page = report.write(folder, tmp_path / "deep" / "a.html").read_text()
    assert page == report.write(folder, tmp_path / "b.html").read_text()
    own = page.replace(report.get_plotlyjs(), "")
    assert "default-src 'none'" in own
    assert not re.search(r"https?://|src=(?!x onerror)", own)


def test_words_of_users_stay_words(results: list[Result]) -> None:
    named = [
        Result(one.record, dict(one.scenario) | {"policy": HOSTILE + str(i)}) for i, one in enumerate(results)
    ]
    table = tables.add_speedup(tables.summary(named), HOSTILE + "0")
    page = report.page(
        table, Shown({str(one.scenario["policy"]): one for one in named}), {HOSTILE: HOSTILE}, HOSTILE
    )
    own = page.replace(report.get_plotlyjs(), "")
    assert "<img" not in own
    assert own.count("</script>") == 3
    assert "&lt;img src=x" in json.dumps(data_of(page))


def test_only_the_named_are_shown(folder: Path) -> None:
    opened = store.open_results(folder)
    assert list(report_shown.chosen(opened, (), "x").results) == ["expert_centric", "data_centric"]
    assert list(report_shown.chosen(opened, ["data_centric"], "x").results) == ["data_centric"]


def test_failed_scenarios_are_rows_with_their_error_and_no_bars(results: list[Result]) -> None:
    table = tables.add_speedup(tables.summary(results), "expert_centric").assign(
        error=[None, "deadlock <here>"]
    )
    table.loc[1, ["step_time_s", "speedup"]] = np.nan
    text = report_table.write(table)
    assert "<td>deadlock &lt;here&gt;</td>" in text
    chart = report_charts.speedups(table)
    assert chart
    assert chart["data"][0]["y"] == ["expert_centric"]
    data_of(report.page(table, Shown({}), {}, "failed"))


def test_a_page_without_any_result_says_so(results: list[Result]) -> None:
    table = tables.summary(results).assign(step_time_s=np.nan)
    assert data_of(report.page(table, Shown({}), {}, "none")) == {}


def test_a_long_table_is_cut(results: list[Result]) -> None:
    table = pd.concat([tables.summary(results)] * 1500, ignore_index=True)
    assert "The first 2000 of 3000 rows" in report_table.write(table)
    chart, _ = report_charts.where(table)
    assert chart
    assert len(chart["data"][0]["x"]) == report_charts.MOST_BARS


def test_of_a_table_too_long_for_bars_each_row_is_a_dot(results: list[Result]) -> None:
    table = tables.add_speedup(tables.summary(results), "expert_centric")
    long = pd.concat(
        [table.assign(micro_batch_size=size) for size in range(1, 101)], ignore_index=True
    )  # fmt: skip
    charts = data_of(report.page(long, Shown({}), {}, "many"))
    dots = charts["speedup"]["data"]
    assert [len(one["x"]) for one in dots] == [100, 100]
    assert dots[1]["text"][99] == "micro batch size 100"
    assert len(charts["where"]["data"][0]["x"]) == report_charts.MOST_BARS


def test_with_seeds_their_means_are_shown_with_intervals(
    results: list[Result], folder: Path, tmp_path: Path
) -> None:
    seeded = [
        Result(one.record, dict(one.scenario) | {"name": f"{one.scenario['name']} seed={seed}", "seed": seed})
        for seed in (0, 1)
        for one in results
    ]
    one = tables.add_speedup(tables.summary(results), "expert_centric")
    other = one.assign(speedup=one["speedup"] * [1.0, 1.1])
    table = pd.concat([one, other], ignore_index=True)
    names = {"scenario": [str(each.scenario["name"]) for each in seeded], "seed": [0, 0, 1, 1]}
    store.save(seeded, folder, table.assign(**names))
    store.write_csv(seeds.means(table.assign(**names), "expert_centric"), folder / "seeds.csv")
    page = report.write(folder).read_text()
    assert "Means over the seeds" in page
    bars = data_of(page)["speedup"]["data"][0]
    assert bars["x"][1] == pytest.approx(one["speedup"][1] * 1.05)
    assert bars["error_x"]["array"][1] > 0


def draws() -> Spread:
    """Return eight draws in which the speedup grows with the first constant and not with the second."""
    rows = [
        {
            "workload": "moe_gpt", "policy": policy, "uncertainty.draw": draw, "step_time_s": seconds,
            "quantile: NIC <b>": draw / 8, "quantile: launch": (3 * draw) % 8 / 8,
        }
        for draw in range(-1, 8)
        for policy, seconds in (("slow", 2.0), ("fast", 1.0 - draw / 100))
    ]  # fmt: skip
    return spread(pd.DataFrame(rows), "slow", "uncertainty.draw", ["NIC <b>", "launch"])


@pytest.fixture
def uncertain(tmp_path: Path) -> Path:
    target = tmp_path / "uncertain"
    target.mkdir()
    found = draws()
    for name in ("intervals", "beats", "tornado"):
        store.write_csv(getattr(found, name), target / f"{name}.csv")
    scenarios = [
        {"scenario": {"name": str(draw), "point": {"uncertainty.draw": draw}}} for draw in range(-1, 8)
    ]
    (target / "scenarios.json").write_text(json.dumps(scenarios))
    (target / "ranges.json").write_text(json.dumps({"draws": 8, "ranges": [{}, {}]}))
    return target


def test_a_folder_of_draws_has_intervals_and_says_what_it_lacks(uncertain: Path) -> None:
    page = report.write(uncertain).read_text()
    charts = data_of(page)
    assert list(charts) == ["intervals", "tornado0"]
    bar = charts["intervals"]["data"][0]
    low = draws().intervals["p5"].iloc[0]
    assert bar["base"] == pytest.approx([low])
    assert charts["tornado0"]["layout"]["yaxis"]["ticktext"][0] == "NIC &lt;b&gt;"
    assert charts["tornado0"]["data"][0]["x"][0] == 1.0
    assert "Links, timelines and waterfalls are not here" in page
    with pytest.raises(InputError, match="cannot be shown one by one"):
        report.write(uncertain, names=["fast"])


def test_a_record_without_links_has_no_heat_map(results: list[Result]) -> None:
    bare = {"bare": Result(replace(results[0].record, links=()), results[0].scenario)}
    assert report_time.heat(bare) is None
    assert report_time.timeline(bare)


def test_bars_of_the_timeline_are_thinned_by_merging_the_nearest(results: list[Result]) -> None:
    record = results[1].record
    masks = list(report_time.deeds(record, np.ones(len(record.spans["rank"]), dtype=bool)).values())
    assert report_time.merging_gap(record, masks, most=10**6) == 0
    whole, _ = report_time.spans(record, 0)
    ranks = record.spans["rank"]
    mine = (record.spans["machine"] == 0) & np.isin(
        record.spans["kind"], ["compute", "transfer", "all_to_all"]
    )
    assert sum(len(one["x"]) for one in whole.values()) == int(mine.sum())
    fine, coarse = (report_time.merging_gap(record, masks, most=most) for most in (60, 30))
    assert 0 < fine < coarse
    assert ranks.size > 60


# ---------------------------------------------------------------- in a browser


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A headless Chromium of this machine, or a skip that says what is missing."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    driver = shutil.which("chromedriver")
    if browser is None or driver is None:
        pytest.skip("no chromium and chromedriver here (Debian: chromium, chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for flag in FLAGS.split():
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    window = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield window
    window.quit()


def column(window: Any, place: int) -> list[str]:
    rows = window.find_elements("css selector", f"#summary tbody td:nth-child({place + 1})")
    return [row.text for row in rows]


def test_in_a_browser_charts_are_drawn_the_table_sorts_and_nothing_is_wrong(
    folder: Path, chromium: Any
) -> None:
    chromium.get(report.write(folder).as_uri())
    heads = chromium.find_elements("css selector", "#summary th button")
    place = [head.text.strip("\xa0▲▼") for head in heads].index("ms")
    before = column(chromium, place)
    heads[place].click()
    assert column(chromium, place) == sorted(before, key=float)
    heads[place].click()
    assert column(chromium, place) == sorted(before, key=float, reverse=True)
    assert heads[place].find_element("xpath", "..").get_attribute("aria-sort") == "descending"
    for name, least in (("speedup", 2), ("where", 4), ("path", 4), ("waterfall0", 4), ("timeline", 40)):
        assert drawn(chromium, name, ".point") >= least
    assert drawn(chromium, "links", ".hm image") == 2
    assert chromium.execute_script("return performance.getEntriesByType('resource').length") == 0
    assert chromium.get_log("browser") == []


def test_in_a_browser_intervals_are_drawn(uncertain: Path, chromium: Any) -> None:
    chromium.get(report.write(uncertain).as_uri())
    assert drawn(chromium, "intervals", ".point") == 3
    assert drawn(chromium, "tornado0", ".point") == 2
    assert chromium.get_log("browser") == []


def test_in_a_browser_a_long_table_scrolls_in_its_place(
    results: list[Result], chromium: Any, tmp_path: Path
) -> None:
    """Of 200 rows the page shows a window; it is as wide as the screen, also on a narrow one."""
    table = tables.add_speedup(tables.summary(results), "expert_centric")
    long = pd.concat([table] * 100, ignore_index=True)
    path = tmp_path / "page.html"
    path.write_text(report.page(long, Shown({}), {}, "many"))
    chromium.set_window_size(700, 1000)
    chromium.get(path.as_uri())
    high = "return document.querySelector('.wide').clientHeight"
    assert chromium.execute_script(high) < 800
    assert len(chromium.find_elements("css selector", "#summary tbody tr")) == 200
    assert chromium.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
    assert drawn(chromium, "speedup", ".point") == 200
    assert chromium.get_log("browser") == []
    chromium.set_window_size(1280, 1000)


def test_in_a_browser_the_timeline_zooms_all_panels(folder: Path, chromium: Any) -> None:
    chromium.get(report.write(folder).as_uri())
    drawn(chromium, "timeline", ".point")
    zoom = "return Plotly.relayout('timeline', {'xaxis.range': [1, 2]}).then((g) => g.layout.xaxis2.range)"
    assert chromium.execute_script(zoom) == [1, 2]
    assert chromium.get_log("browser") == []


def test_in_a_browser_words_of_users_run_nothing(
    results: list[Result], chromium: Any, tmp_path: Path
) -> None:
    named = [
        Result(one.record, dict(one.scenario) | {"policy": HOSTILE + str(i)}) for i, one in enumerate(results)
    ]
    table = tables.add_speedup(tables.summary(named), HOSTILE + "0")
    path = tmp_path / "page.html"
    path.write_text(
        report.page(table, Shown({HOSTILE: named[0], "b": named[1]}), {HOSTILE: HOSTILE}, HOSTILE)
    )
    chromium.get(path.as_uri())
    drawn(chromium, "speedup", ".point")
    assert HOSTILE + "0" in chromium.execute_script("return document.querySelector('#speedup').textContent")
    assert chromium.find_elements("css selector", "img, #speedup b") == []
    assert chromium.get_log("browser") == []


def drawn(window: Any, name: str, what: str) -> int:
    """Scroll to a chart and return how many of its parts are there, after it was drawn."""
    from selenium.webdriver.support.wait import WebDriverWait

    window.execute_script(f"document.getElementById('{name}').scrollIntoView()")
    seen = WebDriverWait(window, 60).until(lambda _: window.find_elements("css selector", f"#{name} {what}"))
    return len(seen)
