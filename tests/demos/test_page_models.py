"""The tabs Compare and Models in a real browser."""

import pytest
from browser import part, visit, wait_until

pytestmark = [pytest.mark.waits, pytest.mark.slow]


def test_a_network_without_a_memory_sees_no_direction(site, browser):
    with visit(browser, site.address) as page:
        page.get_by_role("tab", name="Compare").click()
        page.get_by_role("button", name="Compare").click()
        part(page, "compare-figures-second").get_by_text("ms a frame").wait_for(timeout=60_000)
        names = [part(page, f"compare-{which}").text_content() for which in ("first", "second")]
        assert names == ["motion-tsn (torch)", "motion (torch)"]
        assert part(page, "compare-figures-first").text_content().endswith(" 0 kB of state")
        named = page.evaluate("actionstream.compare.strips.map((strip) => strip.events.map((each) => each.label))")
        assert {"left", "right", "up", "down"} <= set(named[1])
        assert not {"left", "right", "up", "down"} & set(named[0])

        page.get_by_label("The video from the Video tab").check()
        page.get_by_role("button", name="Compare").click()
        page.get_by_role("alert").get_by_text("there is no video in the tab Video yet").wait_for()
        assert not part(page, "compare-result").is_visible()  # that of another video


def test_the_catalogue_and_a_checkpoint_of_ones_own(site, browser, checkpoint, tmp_path):
    with visit(browser, site.address) as page:
        page.get_by_role("tab", name="Models").click()
        rows = part(page, "models-rows").locator("tr:visible")
        rows.first.wait_for()
        assert rows.count() > 50
        part(page, "models-search").fill("tsm mobilenet")
        assert sorted(row.split()[0] for row in rows.all_inner_texts()) == ["tsm_mobilenet_v2", "tsm_mobilenet_v2_bi"]
        assert part(page, "models-found").text_content().startswith("2 of ")
        part(page, "models-search").fill("<b>nothing")
        page.get_by_text("No network fits “<b>nothing”").wait_for()
        assert not part(page, "models-table").is_visible()
        part(page, "models-search").fill("")
        rows.first.wait_for()

        (tmp_path / "no.safetensors").write_text("no")
        upload = page.locator("#models-upload input[type=file]")
        upload.set_input_files(tmp_path / "no.safetensors")
        page.get_by_role("alert").get_by_text("no.safetensors is no checkpoint of ours").wait_for()
        upload.set_input_files(checkpoint)
        page.get_by_text(f"use {checkpoint.name}").first.wait_for()
        page.get_by_role("tab", name="Live").click()
        page.get_by_role("button", name="Start").click()
        bars = part(page, "live-bars").locator(".as-name")
        wait_until(lambda: sorted(bars.all_text_contents()) == ["clap", "jump", "nod", "wave"])
    wait_until(lambda: site.files() == [] and site.num_streams() == 0)
