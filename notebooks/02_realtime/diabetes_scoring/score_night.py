"""A night's job: all patients of a file in, how far their diabetes is likely to progress out.

It scores with the script that the endpoint has, so that both say the same of a patient.
"""

import os
import sys
from pathlib import Path
from statistics import mean

import score

weights, patients = map(Path, sys.argv[1:])
os.environ["AZUREML_MODEL_DIR"] = str(weights if weights.is_dir() else weights.parent)
score.init()
progress = score.run(patients.read_text())["progress"]
print(f"{len(progress)} patients, {mean(progress):.0f} points on average")
