"""The tab Teach without a browser: what a lesson keeps, who may use it, and what its checkpoint has in it."""

import io
from contextlib import closing
from dataclasses import replace
from time import monotonic, sleep

import numpy as np
import pytest
import torch
from PIL import Image
from starlette.testclient import TestClient

from actionstream.demos.page.hub import SharedEngine
from actionstream.demos.page.lesson import Lesson
from actionstream.demos.page.lessons import Lessons
from actionstream.demos.page.limits import Limits
from actionstream.demos.page.site import Site
from actionstream.demos.page.teach_routes import TeachRoutes
from actionstream.engine.engine import Engine
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.labels import NOTHING
from actionstream.models.weights.checkpoint import read_attached, read_card, save
from actionstream.models.weights.loading import load
from actionstream.sources import SAMPLE, open_source
from actionstream.teaching import Teacher
from actionstream.teaching.examples import Example
from actionstream.teaching.fit import fit_examples

CLIENT = "192.0.2.1"
RIGHT, LEFT, DOWN = 2.5, 4.5, 6.5
"""When movements of the sample begin, in seconds."""


def until(condition, seconds=20.0):
    end = monotonic() + seconds
    while not condition():
        assert monotonic() < end
        sleep(0.01)


def learn(examples):
    return fit_examples(examples, num_parts=6, longest=40)


def features(kind, seed, length=12):
    """Features of a clip: those of one kind are like each other."""
    course = np.random.default_rng(kind).normal(size=(length, 24)).cumsum(axis=0) / 2
    return (course + 0.2 * np.random.default_rng(100 + seed).normal(size=course.shape)).astype(np.float16)[None]


class Due(list):
    """The lessons that have something to learn."""

    def study(self):
        while self:
            self.pop(0).study()


@pytest.fixture
def due():
    return Due()


@pytest.fixture
def lesson(due):
    return Lesson(CLIENT, learn=learn, interval_seconds=0.1, context=3, longest=40, limits=Limits(), due=due.append)


def teach(lesson, *labels, seed=0):
    for label in labels:
        if label not in [each["name"] for each in lesson.state()["labels"]]:
            lesson.add_label(label)
        lesson.add(label, features(sum(map(ord, label)), seed), [])


def names(lesson):
    return {each["name"]: [example["name"] for example in each["examples"]] for each in lesson.state()["labels"]}


def test_a_model_comes_with_two_examples_of_two_labels(lesson, due):
    missing = "The model comes when two labels have two examples each; so far there are "
    for number, (label, have) in enumerate(
        [("wave", "1 of wave"), ("wave", "2 of wave"), ("clap", "2 of wave, 1 of clap"), ("clap", None)]
    ):
        teach(lesson, label, seed=number)
        assert lesson.head is None
        assert lesson.state()["learning"]
        assert lesson.state()["message"] == ("" if have is None else missing + have)
        due.study()
    assert lesson.head.labels == (NOTHING, "wave", "clap")
    state = lesson.state()
    assert (state["ready"], state["learning"]) == (True, False)
    assert state["report"]["labels"] == (NOTHING, "wave", "clap")
    assert np.sum(state["report"]["confusion"]) == 4
    assert state["report"]["sentences"][0].startswith("4 of 4 are right")
    assert [example["answer"] for example in state["labels"][1]["examples"]] == ["wave", "wave"]
    teach(lesson, "jump")
    due.study()
    assert "cannot be checked, as there is one example: jump" in lesson.state()["report"]["sentences"]
    lesson.remove(state["labels"][2]["examples"][0]["number"])
    assert lesson.head is None
    due.study()
    assert (lesson.state()["report"], lesson.state()["message"]) == (None, missing + "2 of wave, 1 of clap, 1 of jump")


def test_the_example_that_hurts_most_is_named(lesson, due):
    for seed in range(3):
        teach(lesson, "wave", "clap", seed=seed)
    lesson.add("wave", features(sum(map(ord, "clap")), 9), [])
    due.study()
    state = lesson.state()
    assert "fits least: clip 4 of wave looks like clap" in state["report"]["sentences"]
    assert "confused most: wave and clap, 1 of 7 examples" in state["report"]["sentences"]
    assert state["labels"][1]["examples"][3]["answer"] == "clap"


def test_the_newest_change_is_learnt_and_one_at_a_time(due):
    """Examples that come while others are learnt are learnt after them, all at once."""
    seen = []

    def meanwhile(examples):
        seen.append(len(examples))
        if len(seen) == 1:
            teach(one, "wave", "clap", "jump", seed=5)
            assert due == []
        return learn(examples)

    one = Lesson(CLIENT, learn=meanwhile, interval_seconds=0.1, context=3, longest=40, limits=Limits(), due=due.append)
    for seed in range(2):
        teach(one, "wave", "clap", seed=seed)
    assert len(due) == 1
    due.pop().study()
    assert len(due) == 1
    assert one.state()["learning"]
    due.study()
    assert seen == [4, 7]
    assert one.head.labels == (NOTHING, "wave", "clap", "jump")
    assert not one.state()["learning"]


def test_what_cannot_be_learnt_is_said_and_goes_on(due, caplog):
    def fail(examples):
        if len(examples) == 4:
            raise np.linalg.LinAlgError("Eigenvalues did not converge")
        return learn(examples)

    one = Lesson(CLIENT, learn=fail, interval_seconds=0.1, context=3, longest=40, limits=Limits(), due=due.append)
    for seed in range(2):
        teach(one, "wave", "clap", seed=seed)
    due.study()
    assert one.state()["message"] == "these examples cannot be learnt; remove the last one"
    assert "Eigenvalues" in caplog.text
    teach(one, "wave", seed=3)
    due.study()
    assert (one.state()["message"], one.state()["ready"]) == ("", True)


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("a/b\\c", "a/b\\c"), ("🖐 hi", "🖐 hi"), (" wave ", "wave"), ("<script>alert(1)</script>", None), ("$x^$", None),
        ("x" * 200, None), ("'\"; drop", None), ("../../etc", None),
    ],
)  # fmt: skip
def test_names_of_labels(lesson, name, label):
    lesson.add_label(name)
    teach(lesson, label or name)
    assert names(lesson) == {NOTHING: [], label or name: ["clip 1"]}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "is no name; expected 1 to 200 printable"), ("  ", "is no name"), ("x" * 201, "is no name"),
        ("a\nb", "is no name"), ("\u202eevil", "is no name"), ("\0", "is no name"),
        ("wave", "there is a label wave already; take another name"),
        ("Background", "there is a label nothing already"), ("nothing", "there is a label nothing already"),
    ],
)  # fmt: skip
def test_names_that_are_none_change_nothing(lesson, name, message):
    teach(lesson, "wave")
    before = lesson.state()
    with pytest.raises(ActionstreamError, match=message):
        lesson.add_label(name)
    assert lesson.state() == before


def test_limits_of_a_lesson(due):
    limits = Limits(max_labels=2, max_examples=3, max_examples_megabytes=0.01)
    one = Lesson(CLIENT, learn=learn, interval_seconds=0.1, context=3, longest=40, limits=limits, due=due.append)
    teach(one, "a", "b")
    with pytest.raises(ActionstreamError, match=r"there are 2 labels, which is the most here; remove one first"):
        one.add_label("c")
    with pytest.raises(ActionstreamError, match=r"the examples would take more than 0.01 MB; remove some first"):
        one.add("a", features(1, 1), [bytes(9_500)])
    one.add("a", features(1, 1), [bytes(1000)])
    with pytest.raises(ActionstreamError, match=r"there would be 4 examples; the most are 3 here"):
        one.add("b", features(2, 2), [])
    assert names(one) == {NOTHING: [], "a": ["clip 1", "clip 2"], "b": ["clip 1"]}
    one.remove_label("b")
    one.add_label("c")
    assert names(one) == {NOTHING: [], "a": ["clip 1", "clip 2"], "c": []}
    for wrong in ("b", "B" * 1000):
        with pytest.raises(ActionstreamError, match=r"there is no label '.{1,40}' here any more"):
            one.add(wrong, features(2, 2), [])


def test_the_same_clip_again(lesson):
    teach(lesson, "wave", "wave", "clap")
    assert names(lesson) == {NOTHING: [], "wave": ["clip 1"], "clap": ["clip 1"]}
    with pytest.raises(ActionstreamError, match=r"clip 1 of wave is the same clip; remove it first if it is clap"):
        lesson.add("clap", features(sum(map(ord, "wave")), 0), [])
    with pytest.raises(ActionstreamError, match=r"this example is not here any more"):
        lesson.remove(99)
    lesson.remove_label(NOTHING)  # its examples
    assert NOTHING in names(lesson)


def test_examples_of_a_file_come_all_or_none(due):
    limits = Limits(max_labels=3, max_examples=5)
    one = Lesson(CLIENT, learn=learn, interval_seconds=0.1, context=3, longest=40, limits=limits, due=due.append)
    teach(one, "wave")
    before = one.state()
    many = [Example(f"label {n}", "clip", features(n, n)) for n in range(500)]
    with pytest.raises(ActionstreamError, match=r"there are 3 labels, which is the most here"):
        one.take_over(many)
    with pytest.raises(ActionstreamError, match=r"there would be 6 examples"):
        one.take_over([Example("clap", f"clip {n}", features(5, n)) for n in range(5)])
    with pytest.raises(ActionstreamError, match=r"clip 1 of wave is the same clip"):
        one.take_over([many[0], Example("clap", "x", features(sum(map(ord, "wave")), 0))])
    assert one.state() == before
    one.take_over([Example("wave", "clip 7", features(sum(map(ord, "wave")), 0)), many[3], many[4]])
    assert names(one) == {NOTHING: [], "wave": ["clip 1"], "label 3": ["clip"], "label 4": ["clip"]}


@pytest.fixture(scope="module")
def teacher():
    """With one backbone, for speed."""
    return Teacher(backbones=["motion"])


@pytest.fixture(scope="module")
def sample():
    return [(frame.time_seconds, frame.image) for frame in open_source(SAMPLE) if frame.time_seconds < 9]


@pytest.fixture
def site(checkpoint, teacher, monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    limits = Limits(idle_seconds=1000, silent_seconds=1000)  # no page asks for answers here
    with closing(Site(model=str(checkpoint), runtime="torch", device="cpu", limits=limits)) as one:
        one.lessons._teacher = teacher
        yield one
    assert list(tmp_path.glob("actionstream-*")) == []


def open_session(site, key, token="", client=CLIENT):
    site.open_page(key, client)
    session = site.session(key)
    return session, site.open_lesson(session, token)


def begin_stream(site, session):
    """Begin a stream whose frames may wait for long: no machine is too slow."""
    site.hub(None)._watch._batcher.interval_seconds = 60
    return site.begin_lesson(session)["token"]


def show(site, token, sample, begin, *, seconds=1.8):
    """Show a stream what the sample shows from `begin` on; the stream's first and last time of it, and the answer."""
    live = site.live(token)
    interval = live.hub.engine.card.frame_seconds
    first = max(0.0, live.visitor._now_seconds + interval)
    for number in range(round(seconds / interval)):
        last = first + number * interval
        live.visitor.source.put(picture_at(sample, begin + number * interval), last)
        until(lambda last=last: live.visitor._now_seconds >= last)
    return first, last, live.visitor._news[-1]


def picture_at(sample, time_seconds):
    return next(image for time, image in sample if time >= time_seconds)


def is_learnt(lesson):
    return not lesson.state()["learning"]


def upload(site, session, path, name="mine.safetensors"):
    with site.uploads.receive(CLIENT) as one:
        one.name = name
        one.path.write_bytes(path.read_bytes() if hasattr(path, "read_bytes") else path)
    return site.take_lesson(session, str(one.path))


def test_a_visitor_teaches_corrects_and_goes_on_elsewhere(site, sample, tmp_path):
    session, lesson = open_session(site, "a")
    token = begin_stream(site, session)
    visitor = site.live(token).visitor
    lesson.add_label("right")
    with pytest.raises(ActionstreamError, match=r"the clip has no frames; expected a second or more"):
        visitor.add("right", 0.0, 2.0)
    lesson.add_label("left")
    for number, (label, begin) in enumerate(2 * [("right", RIGHT), ("left", LEFT)]):
        first, last, _ = show(site, token, sample, begin + 0.05 * number)
        visitor.add(label, first, last)
    with pytest.raises(ActionstreamError, match=r"an example of 40 s; the longest is 20 s"):
        visitor.add("left", 0.0, 40.0)
    until(lambda: is_learnt(lesson))
    for label, begin in (("right", RIGHT + 0.1), ("left", LEFT + 0.1)):
        _, _, told = show(site, token, sample, begin)
        assert told["best"][0][0] == label
        assert told["version"] == lesson.version
    assert show(site, token, sample, DOWN)[2]["best"][0][0] != "down"
    lesson.add_label("down")
    for _ in range(3):  # a key that is pressed again and again
        visitor.correct("down")
        show(site, token, sample, DOWN + 1.8, seconds=0.1)
    until(lambda: is_learnt(lesson))
    assert names(lesson)["down"] == ["clip 1"]
    assert show(site, token, sample, DOWN)[2]["best"][0][0] == "down"

    example = lesson.state()["labels"][3]["examples"][0]
    assert 1 < example["pictures"] <= 6
    pictures = [lesson.picture(example["number"], place) for place in range(example["pictures"])]
    assert max(Image.open(io.BytesIO(each)).size[0] for each in pictures) < 200
    assert lesson.picture(example["number"], 6) is lesson.picture(99, 0) is None
    path = site.write_lesson(lesson)
    data = path.read_bytes()
    assert pictures[0] not in data
    assert b"JFIF" not in data
    card = read_card(str(path))
    assert card.labels == (NOTHING, "right", "left", "down")
    assert set(read_attached(str(path))) == {f"{n:05}" for n in range(5)}
    engine = Engine(str(path), runtime="torch", device="cpu")
    stream = engine.open()
    said = None
    for time, image in sample:
        if RIGHT - 2 < time < RIGHT + 1.8:
            said = engine.push(stream, image, time) or said
    assert said.label == "right"

    mine = tmp_path / "mine.safetensors"
    mine.write_bytes(data)
    other, its = open_session(site, "b")
    upload(site, other, mine)
    until(lambda: is_learnt(its))
    assert names(its) == names(lesson)
    assert its.head.labels == lesson.head.labels
    np.testing.assert_allclose(its.learnt.fit.weights, lesson.learnt.fit.weights, atol=1e-5)
    assert list(other.folder.iterdir()) == []
    site.end_session("a")
    assert site.live(token) is None
    assert Teacher(str(path)).examples[4].label == "down"  # as long as the lesson is kept
    site.lessons.forget_unused({its.token}, 0.0)
    assert not path.exists()
    assert its.picture(its.state()["labels"][1]["examples"][0]["number"], 0) is None


def test_other_files_are_refused_and_nothing_is_lost(site, teacher, checkpoint, tmp_path):
    session, lesson = open_session(site, "a")
    teach(lesson, "wave")
    until(lambda: is_learnt(lesson))
    before = lesson.state()
    teacher.examples = [Example(label, "clip", np.full((1, 9, 1024), n, np.float16)) for n, label in enumerate("ab")]
    fit = teacher.fit()
    network, card = teacher.checkpoint()
    teacher.save(tmp_path / "good.safetensors")
    teacher.examples[1] = Example("b", "clip", np.full((1, 9, 1024), np.nan, np.float16))
    teacher.take(fit)
    teacher.save(tmp_path / "nan.safetensors")
    teacher.examples = []
    save(tmp_path / "none.safetensors", network, replace(card, training={}))
    other, its = load(str(tmp_path / "good.safetensors"))
    with torch.no_grad():
        next(other.backbones.parameters()).add_(0.01)
    attached = read_attached(str(tmp_path / "good.safetensors"))
    save(tmp_path / "other.safetensors", other, its, half=True, attached=attached)
    slow = replace(its, interval_seconds=1.0)
    save(tmp_path / "slow.safetensors", network, slow, half=True, attached=attached)
    for name, message in (
        ("other", r"mine.safetensors has other backbones than this page, so its examples mean nothing here"),
        ("slow", r"mine.safetensors has other backbones than this page"),
        ("none", r"mine.safetensors has no examples to go on from"),
        ("nan", r"mine.safetensors has features that are no numbers"),
    ):
        with pytest.raises(ActionstreamError, match=message):
            upload(site, session, tmp_path / f"{name}.safetensors")
    with pytest.raises(ActionstreamError, match=r"mine.safetensors is tsm_resnet18; expected a model that this page"):
        upload(site, session, checkpoint)
    with pytest.raises(ActionstreamError, match=r"mine.safetensors is no checkpoint of ours"):
        upload(site, session, b"none")
    with pytest.raises(ActionstreamError, match=r"wave.mp4 is a file of type .mp4; expected .safetensors"):
        upload(site, session, b"none", name="wave.mp4")
    assert lesson.state() == before
    assert list(session.folder.iterdir()) == []
    upload(site, session, tmp_path / "good.safetensors")
    assert set(names(lesson)) == {NOTHING, "wave", "a", "b"}


def test_examples_wait_for_their_page(site):
    """For some minutes; and where there are too many lessons, the one that has waited for longest goes."""
    site.limits = Limits(idle_seconds=0.1, lesson_seconds=1000, max_lessons=3, max_lessons_per_client=2)
    _, lesson = open_session(site, "a")
    teach(lesson, "wave")
    _, again = open_session(site, "second tab", lesson.token)
    assert again is lesson
    for key in ("a", "second tab"):
        site.close_page(key)
    until(lambda: not site._sessions)
    _, again = open_session(site, "reloaded", lesson.token)
    assert again is lesson
    _, unknown = open_session(site, "b", "x" * 22)
    assert (unknown.token == "x" * 22, unknown is lesson) == (False, False)
    with pytest.raises(ActionstreamError, match=r"too many visitors teach here; try again later"):
        open_session(site, "c")
    for name in ("reloaded", "c"):
        site.close_page(name)
    until(lambda: len(site._sessions) == 1)
    _, third = open_session(site, "d")
    assert site.lessons.find(lesson.token) is None
    assert {unknown, third} == set(site.lessons._lessons.values())
    open_session(site, "e", client="192.0.2.2")
    with pytest.raises(ActionstreamError, match=r"too many visitors teach here"):
        open_session(site, "f", client="192.0.2.3")
    site.close_page("b")
    site.limits = Limits(idle_seconds=0.1, lesson_seconds=0.3)
    until(lambda: site.lessons.find(unknown.token) is None)
    assert site.lessons.find(third.token)
    site.open_page("g", CLIENT)
    with pytest.raises(ActionstreamError, match=r"the examples of this page are forgotten; load it again"):
        site.begin_lesson(site.session("g"))


def test_which_lesson_goes(teacher, tmp_path):
    lessons = Lessons(tmp_path / "lessons")
    lessons._teacher = teacher
    limits = Limits(max_lessons=3, max_lessons_per_client=2)

    def new(client, *used):
        return lessons.open("", client, used={each.token for each in used}, limits=limits)

    first, second, third = new("a"), new("b"), new("b")
    second.seen, third.seen, first.seen = 1.0, 2.0, 0.0
    fourth = new("b")  # for which one of the same client goes
    assert [lessons.find(each.token) for each in (first, second, third)] == [first, None, third]
    fourth.seen = 3.0
    fifth = new("c", first)
    assert [lessons.find(each.token) for each in (first, third, fourth)] == [first, None, fourth]
    lessons.forget_unused({first.token}, 600)
    assert {*lessons._lessons.values()} == {first, fifth}
    lessons.forget_unused(set(), 600)  # first was used just now
    assert lessons.find(first.token) is first
    lessons.close()


def test_requests(site, sample):
    """What a page asks for, and what others do."""
    from starlette.applications import Starlette

    session, lesson = open_session(site, "a")
    token = begin_stream(site, session)
    page = TestClient(Starlette(routes=TeachRoutes(site).routes()))
    base = f"/teach/{lesson.token}"
    assert page.post(f"{base}/add-label", content="a/<b>🖐").json()["labels"][1]["name"] == "a/<b>🖐"
    assert page.post(f"{base}/add-label", content=b"\xff\xfe").status_code == 400
    assert page.post(f"{base}/add-label", content="a/<b>🖐").text == "there is a label a/<b>🖐 already; take another name"
    show(site, token, sample, RIGHT, seconds=0.6)
    too_early = "the camera has shown 0.6 s; a correction takes the last 2.0 s; wait a moment"
    assert page.post(f"{base}/correct?stream={token}", content=NOTHING).text == too_early
    added = page.post(f"{base}/add?stream={token}&begin=0&end=1", content="a/<b>🖐")
    (example,) = added.json()["labels"][1]["examples"]
    picture = page.get(f"{base}/picture?example={example['number']}&place=0")
    assert (picture.status_code, picture.headers["content-type"]) == (200, "image/jpeg")
    assert page.get(f"{base}/picture?example=99&place=0").status_code == 404
    assert page.get(f"{base}/picture?example={example['number']}&place=-1").status_code == 404
    for query in ("begin=0&end=nan", "begin=0", "begin=0&end=x"):
        got = page.post(f"{base}/add?stream={token}&{query}", content="a/<b>🖐")
        assert (got.status_code, got.text.endswith("expected a number")) == (400, True)
    no_model = "there is no model yet; it needs two labels with two examples each"
    assert page.get(f"{base}/checkpoint").text == no_model
    assert (
        page.post(f"{base}/correct?stream={token}", content="nobody").text == "there is no label 'nobody' here any more"
    )
    same = "clip 1 of a/<b>🖐 is the same clip; remove it first if it is nothing"
    assert page.post(f"{base}/correct?stream={token}", content=NOTHING).text == same
    show(site, token, sample, LEFT, seconds=0.6)
    (nothing,) = page.post(f"{base}/correct?stream={token}", content=NOTHING).json()["labels"][0]["examples"]
    assert (nothing["seconds"], 1 <= nothing["pictures"] <= 3) == (0.6, True)  # those of its time

    _, of_another = open_session(site, "b")
    for stream in (token, "x", ""):
        got = page.post(f"/teach/{of_another.token}/correct?stream={stream}", content=NOTHING)
        assert (got.status_code, got.text) == (400, "the camera does not run; start it first")
    assert page.get(f"/teach/{'x' * 22}/state").status_code == 404
    assert page.post(f"/teach/{'x' * 22}/add-label", content="x").status_code == 404
    assert page.post(f"{base}/remove?example={example['number']}").json()["labels"][1]["examples"] == []
    assert len(page.post(f"{base}/remove-label", content="a/<b>🖐").json()["labels"]) == 1


def test_twenty_visitors_share_the_backbones(site, sample, monkeypatch):
    """In batches, each with the answers of its own labels."""
    sizes = []

    def score(engine, pairs, score=SharedEngine.score):
        sizes.append(len(pairs))
        return score(engine, pairs)

    monkeypatch.setattr(SharedEngine, "score", score)
    most = {"max_lessons_per_client": 20, "max_streams_per_client": 20, "max_pages_per_client": 20}
    site.limits = Limits(idle_seconds=1000, silent_seconds=1000, **most)
    visitors = []
    for number in range(20):
        session, lesson = open_session(site, str(number))
        visitors.append((begin_stream(site, session), lesson))
    clips = []
    token = visitors[0][0]
    for begin in (RIGHT, LEFT, RIGHT + 0.1, LEFT + 0.1):
        first, last, _ = show(site, token, sample, begin, seconds=1.2)
        clips.append(site.live(token).visitor._features.between(first, last))
    for number, (_, lesson) in enumerate(visitors):
        for clip, way in zip(clips, ("right", "left") * 2, strict=True):
            if (label := f"{number} {way}") not in names(lesson):
                lesson.add_label(label)
            lesson.add(label, clip, [])
    until(lambda: all(is_learnt(lesson) for _, lesson in visitors), 60)
    sizes.clear()
    hub = site.hub(None)
    seen = [site.live(token).visitor for token, _ in visitors]
    times = np.arange(20, 23, hub.engine.card.frame_seconds)
    for time in times:
        picture = picture_at(sample, LEFT + 1.2 + time - times[-1])
        with hub.engine._lock:  # as while others are scored: frames gather
            for visitor in seen:
                visitor.source.put(picture, time)
            sleep(0.05)
        until(lambda time=time: all(visitor._now_seconds >= time for visitor in seen), 60)
    assert sum(sizes) == 20 * len(times)
    assert len(sizes) <= sum(sizes) / 4
    assert [visitor._news[-1]["best"][0][0] for visitor in seen] == [f"{number} left" for number in range(20)]
