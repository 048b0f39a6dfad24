# %% [markdown]
# cvlib in a notebook: train, look, measure, predict. Run the cells one by one in an editor that knows `# %%`, or all
# with `python experiments/notebook.py` (under a minute on two cores). Runs land in `outputs/` of the present folder.

# %% The data that a run would have: splits, classes, and what is odd about it.
import cvlib

QUICK = ["data=digits", "model=cnn", "trainer.epochs=5"]
data = cvlib.load_data(*QUICK)
print(len(data.train), len(data.val), len(data.test), data.classes, data.notes)

# %% The network, before any training: a Keras model.
model = cvlib.build(*QUICK)
model.summary()

# %% A run, recorded whole as `python run.py` records it.
run = cvlib.train(*QUICK, "name=notebook")
print(run.folder, run.summary["metrics"]["test/accuracy"])

# %% The same run opened again, and measured on the validation split.
again = cvlib.load_run(run.folder)
found = cvlib.evaluate(again, split="val")
print("\n".join(found.lines()))
hardest = min(found.by_class, key=lambda row: row["f1"])
print(f"the hardest class is {hardest['class']}: F1 {hardest['f1']:.3f}")

# %% Its confusion matrix and worst mistakes; `PIL.Image.fromarray(...)` as a cell's last line shows them.
from PIL import Image  # noqa: E402

for name, picture in found.pictures.items():
    print(name, Image.fromarray(picture).size)

# %% What it says of images: arrays, files, folders.
for answer, truth in zip(cvlib.predict(again, data.test.images[:5]), data.test.labels, strict=False):
    print(f"{answer.classes[0]} {answer.probabilities[0]:.1%}, is {data.classes[truth]}")
