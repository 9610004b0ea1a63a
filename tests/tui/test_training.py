"""Loss, accuracy and confusion of the batches that came by, and the pictures of their samples."""

from types import SimpleNamespace

import numpy as np

from nndbg.layermap import parse_map
from nndbg.tui.picture_sheet import Samples, draw_samples, samples_of
from nndbg.tui.training import Batch, History, Training, confusion
from nndbg.tui.training_sheet import draw_training

MAP = """
[program]
name = "tiny"
step = "enter:step"

[sizes]
batch = 3
pixels = 64

[buffers]
w = { dtype = "f32", shape = [3, 4] }
x = { dtype = "f32", shape = ["batch", "pixels"] }
y = { dtype = "u8", shape = ["batch"] }
z = { dtype = "f32", shape = ["batch", 4] }
p = { dtype = "f32", shape = ["batch", 4] }
loss = { dtype = "f32", shape = [] }
k = { dtype = "f32", shape = ["pixels", 4] }
b = { dtype = "f32", shape = [4] }

[[ops]]
name = "dense"
kind = "dense"
in = { x = "x", W = "k", b = "b" }
out = "z"
done = "enter:dense"

[[ops]]
name = "softmax"
kind = "softmax"
in = { z = "z" }
out = "p"
done = "enter:softmax"

[[ops]]
name = "loss"
kind = "cross_entropy"
in = { z = "z", y = "y" }
out = "loss"
done = "enter:loss"
"""
LAYER_MAP = parse_map(MAP, "tiny.toml")
Y = np.array([0, 2, 3], np.uint8)
P = np.array([[0.7, 0.1, 0.1, 0.1], [0.5, 0.1, 0.3, 0.1], [0, 0, 0, 1]], np.float32)


def capture(**arrays):
    flat = {name: np.asarray(array, np.float32).reshape(-1) for name, array in arrays.items()}
    shaped = lambda buffer: flat[buffer.name].reshape(  # noqa: E731
        buffer.extents({"batch": 3, "pixels": 64})
    )
    return SimpleNamespace(flat=flat, shaped=shaped)


def observation(name: str, step: int = 0, inputs=None, **arrays):
    op = LAYER_MAP.op(name)
    return SimpleNamespace(
        step=step, op=op, inputs=inputs or {}, expected={"made": 1}, capture=capture(**arrays)
    )


def test_labels_are_counted_against_the_largest_score():
    counts = confusion(Y, P)
    assert counts.sum() == 3
    assert (counts[0, 0], counts[2, 0], counts[3, 3]) == (1, 1, 1)


def test_labels_beyond_the_classes_and_scores_that_are_no_numbers_are_left_out():
    scores = P.copy()
    scores[0, 2] = np.nan
    assert confusion(np.array([0, 9, 3]), scores).sum() == 1
    assert confusion(np.array([0, -1, 3], np.int8), P).sum() == 2
    assert confusion(Y, np.zeros((3, 1))) is None
    assert confusion(Y, np.zeros((3, 5000))) is None


def test_a_step_that_is_run_again_counts_once():
    history = History()
    history.see(observation("dense", z=np.zeros(12)))
    assert history.training.batches == {}
    for step, loss in ((0, 2.0), (1, 1.5), (0, 3.0)):
        history.see(observation("loss", step, {"z": P, "y": Y}, loss=loss))
    training = history.training
    assert training.losses == [(0, 3.0), (1, 1.5)]
    assert training.accuracies == [(0, 2 / 3), (1, 2 / 3)]
    assert training.confusion.sum() == 6
    history.see(observation("loss", 2, loss=1.0))
    assert len(training.batches) == 2


def test_curves_and_confusion_fit_the_width():
    counts = confusion(Y, P)
    batches = {step: Batch(2.3 / (step + 1), counts) for step in range(40)}
    for width in (120, 80, 50):
        lines = draw_training(Training(batches), width, 20).plain.splitlines()
        assert max(map(len, lines)) <= width
        text = "\n".join(lines)
        assert "loss" in text and "accuracy %" in text
        assert "80 of 120 right" in text
    assert "nothing yet" in draw_training(Training(), 80, 20).plain
    lost = draw_training(Training({0: Batch(float("nan")), 1: Batch(float("nan"))}), 80, 20)
    assert "nan" in lost.plain


def test_pictures_are_the_first_input_with_square_rows():
    observations = {
        "softmax": observation("softmax", p=P),
        "loss": observation("loss", inputs={"z": P, "y": Y}, loss=1.0),
    }
    snapshot = SimpleNamespace(
        capture=capture(x=np.arange(192), w=np.zeros(12)), observations=observations
    )
    samples = samples_of(LAYER_MAP, snapshot)
    assert (samples.name, samples.pictures.shape) == ("x", (3, 8, 8))
    assert samples.labels is Y
    assert np.array_equal(samples.scores, P)
    drawn = draw_samples(samples, 1, 80, 12, has_colours=False).plain
    assert "x[1] 2→0 ✗" in drawn and "x[2] 3→3 ✓" in drawn
    assert "30.0%  the label" in drawn
    early = samples_of(LAYER_MAP, SimpleNamespace(capture=snapshot.capture, observations={}))
    assert early.scores is None and early.labels is None
    assert "x[0]" in draw_samples(early, 0, 80, 12, has_colours=True).plain


def test_a_picture_is_drawn_in_the_room_that_there_is():
    picture = np.zeros((1, 28, 28))
    picture[0, :14] = 1
    samples = Samples("x", picture, None, None)
    for height in (6, 15, 40):
        lines = draw_samples(samples, 0, 60, height, has_colours=True).plain.splitlines()
        assert len(lines) <= max(height, 4)
    plain = draw_samples(samples, 0, 60, 15, has_colours=False).plain.splitlines()
    assert plain[1].startswith("@@@@") and not plain[-1].strip()
    assert "no pictures" in draw_samples(None, 0, 60, 15, has_colours=True).plain
