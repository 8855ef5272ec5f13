"""The exercises of *Create an inference pipeline*, solved.

What stands between the markers becomes the learner's to write; `make notebooks` puts the
rest into the lesson.
"""

# %% create_an_inference_pipeline/becomes
### BEGIN SOLUTION
becomes = {
    "import_orders": "input",
    "import_regions": "saved",
    "join": "stays",
    "script": "stays",
    "clip": "applied",
    "normalize": "applied",
    "split": "goes",
    "k_means": "goes",
    "train": "saved",
    "assign": "stays",
    "evaluate": "goes",
}
### END SOLUTION
helpers.check("create_an_inference_pipeline/becomes", becomes)

# %% create_an_inference_pipeline/without_tables
### BEGIN SOLUTION
without_tables = designer.create_realtime_inference_pipeline(
    ml_client, job, inputs=["join_planes"], saved_as=saved_as
)
### END SOLUTION
helpers.check("create_an_inference_pipeline/without_tables", without_tables)

# %% create_an_inference_pipeline/mended
### BEGIN SOLUTION
mended = friday.connect("train_linear_trained_model", "score_linear.trained_model")
mended = mended.connect(
    "normalize_data_transformation_function", "normalize_data.transformation"
)
mended = mended.set("join_planes", join_type="Left Outer Join")
mended = mended.connect("select_answer", "web_service_output")
### END SOLUTION
helpers.check("create_an_inference_pipeline/mended", mended)

# %% create_an_inference_pipeline/monthly
### BEGIN SOLUTION
monthly = designer.create_batch_inference_pipeline(
    ml_client, job, inputs=["import_flights", "import_weather"], saved_as=saved_as
)
monthly = monthly.expose("score_linear", "append_score_columns_to_output", "with_rows")
### END SOLUTION
helpers.check("create_an_inference_pipeline/monthly", monthly)
