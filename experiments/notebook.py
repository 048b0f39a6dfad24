# %% [markdown]
# cvlib in a notebook: train, inspect, evaluate, predict. Run the cells one by one in an editor that supports `# %%`, or
# all with `python experiments/notebook.py` (under a minute on two cores). Runs are saved in `outputs/` of the working
# directory.

# %% The data of a run: splits, classes, and notes about possible problems.
import cvlib

QUICK = ["data=digits", "model=cnn", "trainer.epochs=5"]
data = cvlib.load_data(*QUICK)
print(len(data.train), len(data.val), len(data.test), data.classes, data.notes)

# %% The network before training: a Keras model.
model = cvlib.build(*QUICK)
model.summary()

# %% A run, with the same complete record as `python run.py`.
run = cvlib.train(*QUICK, "name=notebook")
print(run.folder, run.summary["metrics"]["test/accuracy"])

# %% Open the same run again, and evaluate it on the validation split.
again = cvlib.load_run(run.folder)
found = cvlib.evaluate(again, split="val")
print("\n".join(found.lines()))
hardest = min(found.by_class, key=lambda row: row["f1"])
print(f"the hardest class is {hardest['class']}: F1 {hardest['f1']:.3f}")

# %% The confusion matrix and the worst mistakes. To show one, end a cell with `PIL.Image.fromarray(...)`.
from PIL import Image  # noqa: E402

for name, picture in found.pictures.items():
    print(name, Image.fromarray(picture).size)

# %% Predictions for images: arrays, files or folders.
for prediction, truth in zip(cvlib.predict(again, data.test.images[:5]), data.test.labels, strict=False):
    print(f"predicted {prediction.classes[0]} ({prediction.probabilities[0]:.1%}), true class {data.classes[truth]}")
