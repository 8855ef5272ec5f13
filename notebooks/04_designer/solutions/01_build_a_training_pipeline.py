"""The exercises of *Build a training pipeline*, solved.

What stands between the markers becomes the learner's to write; `make notebooks` puts the
rest into the lesson.
"""

# %% build_a_training_pipeline/refused
### BEGIN SOLUTION
refused = {"b", "c", "g"}
### END SOLUTION
helpers.check("build_a_training_pipeline/refused", refused)


# %% build_a_training_pipeline/split_first
### BEGIN SOLUTION
@dsl.pipeline(display_name="split first")
def splits_first(flights):
    table = selected(imported("flights", flights), "-time_hour,-dep_delay")
    rows = split(indicators(marked(cleaned(table))))
    normalize = components.normalize_data(
        dataset=rows.results_dataset1,
        columns_to_transform="numeric,-late",
        transformation_method="MinMax",
    )
    apply = components.apply_transformation(
        transformation=normalize.outputs.transformation_function,
        dataset=rows.results_dataset2,
    )
    learner = components.two_class_logistic_regression()
    train = components.train_model(
        untrained_model=learner.outputs.untrained_model,
        dataset=normalize.outputs.transformed_dataset,
        label_column="late",
    )
    score = components.score_model(
        trained_model=train.outputs.trained_model,
        dataset=apply.outputs.transformed_dataset,
    )
    components.evaluate_model(scored_dataset=score.outputs.scored_dataset)


split_first = splits_first(inputs["flights"])
### END SOLUTION
helpers.check("build_a_training_pipeline/split_first", split_first)


# %% build_a_training_pipeline/weekend
### BEGIN SOLUTION
def weekend(dataset: Dataset) -> Dataset:
    frame = dataset.frame
    return dataset.with_frame(frame.assign(weekend=frame["weekday"] >= 5))


### END SOLUTION
helpers.check("build_a_training_pipeline/weekend", weekend)


# %% build_a_training_pipeline/cheapest
### BEGIN SOLUTION
def cheapest(scored):
    def costs(threshold):
        announced = scored["Scored Probabilities"] >= threshold
        late = scored["late"] == 1
        return (announced & ~late).sum() + 4 * (~announced & late).sum()

    return min((step / 100 for step in range(101)), key=costs)


### END SOLUTION
helpers.check("build_a_training_pipeline/cheapest", cheapest)
